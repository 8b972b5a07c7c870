"""What a conversion did, in few words: what went in and came out, what was left out, and whether it was proven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.cli.datasets.shown import many, split_words
from api.cli.output import console


def say_conversion(made: Mapping[str, Any]) -> None:
    """Prints a conversion's facts, one a line."""
    for name, value in conversion_words(made).items():
        console().print(f"  {name:9}  {value}", markup=False)


def conversion_words(made: Mapping[str, Any]) -> dict[str, str]:
    """Returns what a conversion did by the name of the fact; what was not told is not in it."""
    words: dict[str, str] = {}
    if made.get("target"):
        words["target"] = str(made["target"])
    if made.get("split"):
        words["split"] = split_words(made["split"])
    proof = made.get("proof")
    if isinstance(proof, Mapping):
        words |= _proof(proof)
    if made.get("snapshot_id"):
        words["snapshot"] = str(made["snapshot_id"])
    return words


def _proof(proof: Mapping[str, Any]) -> dict[str, str]:
    words: dict[str, str] = {}
    counts = proof.get("counts") or {}
    if isinstance(counts.get("in"), Mapping) and isinstance(counts.get("out"), Mapping):
        went, came = (_total(counts[side]) for side in ("in", "out"))
        words["converted"] = went if went == came else f"{went} went in, {came} came out"
    for name, title in (("left_out", "left out"), ("changed", "changed")):
        told = kinds(proof.get(name))
        if told:
            words[title] = "; ".join(told)
    before, after = proof.get("checksum_in"), proof.get("checksum_out")
    if before is not None and after is not None:
        covers = ", ".join(str(item) for item in proof.get("covers") or ()) or "what was written"
        same = "same checksum" if before == after else "DIFFERENT checksums"
        words["proof"] = f"{same} of {covers} in and out ({str(after).rpartition(':')[2][:12]})"
    return words


def kinds(told: Any) -> list[str]:
    """Returns what was clipped or left out, each kind with its count and why."""
    if not isinstance(told, Mapping):
        return []
    words = []
    for kind, entry in told.items():
        if isinstance(entry, Mapping) and entry.get("count"):
            unit = str(entry.get("unit") or "annotations")
            one = unit.removesuffix("s")
            named = str(kind).replace("_", " ")
            why = f" ({entry['why']})" if entry.get("why") else ""
            words.append(f"{many(int(entry['count']), one, unit)} {named}{why}")
    return words


def _total(parts: Mapping[str, Any]) -> str:
    images = sum(int(part.get("images", 0)) for part in parts.values())
    annotations = sum(int(part.get("annotations", 0)) for part in parts.values())
    return f"{many(images, 'image')}, {many(annotations, 'annotation')}"
