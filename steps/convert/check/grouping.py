"""Puts equal findings together, so that ten thousand of them are one line for a person."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from steps.convert.problems import Problem

PLACES = 5  # that a group shows


@dataclass(slots=True)
class Group:
    """All findings of one code: how many, the first few of them, and what cures them."""

    code: str
    level: str
    count: int = 0
    first: list[Problem] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives the group as JSON data."""
        shown = [
            {"file": p.file, "image_id": p.image_id, "annotation_id": p.annotation_id, "message": p.message}
            for p in self.first
        ]
        return {"level": self.level, "code": self.code, "count": self.count, "cure": self.first[0].cure, "first": shown}

    def line(self) -> str:
        """Gives the group as one line: code, how often, the first message with its place, the cure."""
        often = f" ({self.count}×, the first)" if self.count > 1 else ""
        code, _, rest = self.first[0].line().partition("] ")
        return f"{code}]{often} {rest}"


def grouped(problems: Iterable[Problem], *, places: int = PLACES) -> list[Group]:
    """Groups findings by level and code, the first few of each kept: errors first, the most frequent first."""
    groups: dict[tuple[str, str], Group] = {}
    for problem in problems:
        group = groups.setdefault((problem.level, problem.code), Group(problem.code, problem.level))
        group.count += 1
        if len(group.first) < places:
            group.first.append(problem)
    return sorted(groups.values(), key=lambda group: (group.level != "error", -group.count, group.code))
