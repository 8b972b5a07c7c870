"""Shortens what a check found to what a record can hold: counted, grouped by kind, the first findings in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PLACES = 5
"""Places named of each kind, as the program itself names them."""
KEPT = 1000
"""Findings of each level that a record keeps; the report's file has them all."""
LEVELS = ("errors", "warnings")


def grouped(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the kinds of findings, errors first, the most frequent first."""
    if isinstance(report.get("groups"), list):
        return list(report["groups"])
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for level in LEVELS:
        for problem in report.get(level) or []:
            fresh = {"level": level.removesuffix("s"), "code": problem.get("code"), "count": 0}
            group = groups.setdefault(
                (level, str(problem.get("code"))), fresh | {"cure": problem.get("cure"), "first": []}
            )
            group["count"] += 1
            if len(group["first"]) < PLACES:
                place = {name: problem.get(name) for name in ("file", "image_id", "annotation_id", "message")}
                group["first"].append(place)
    return sorted(groups.values(), key=lambda group: (group["level"] != "error", -group["count"]))


def shortened(report: Mapping[str, Any], *, most: int = KEPT) -> dict[str, Any]:
    """Returns a report with its findings counted and grouped, and of each level the first `most`."""
    found = {level: list(report.get(level) or []) for level in LEVELS}
    return {
        **report,
        **{level: items[:most] for level, items in found.items()},
        "error_count": len(found["errors"]),
        "warning_count": len(found["warnings"]),
        "groups": grouped(report),
    }


def place(problem: Mapping[str, Any]) -> str:
    """Returns where a finding is: file, image and annotation."""
    named = (("file", ""), ("image_id", "image "), ("annotation_id", "annotation "))
    return ", ".join(f"{word}{problem[key]}" for key, word in named if problem.get(key) is not None)


def cure_of(report: Mapping[str, Any], otherwise: str) -> str:
    """Returns the cure of the only error where it has no place in the dataset, as of a target; else the one given."""
    errors: list[Mapping[str, Any]] = list(report.get("errors") or [])
    own = str(errors[0].get("cure") or "") if len(errors) == 1 and not place(errors[0]) else ""
    return own or otherwise


def first_error(report: Mapping[str, Any]) -> str:
    """Returns how many errors there are, and the first one in words."""
    errors: list[Mapping[str, Any]] = list(report.get("errors") or [])
    if not errors:
        return "the dataset cannot be used"
    where = place(errors[0])
    first = f"{where}: {errors[0].get('message')}" if where else str(errors[0].get("message"))
    return first if len(errors) == 1 else f"the dataset has {len(errors)} errors, the first: {first}"
