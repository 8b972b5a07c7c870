"""What is wrong with a dataset: one record per finding, and the text a person reads."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning"]

SHOWN = 50
LONGEST = 1000  # characters of a message: what a dataset calls its things may be of any length


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding in a dataset, with the place where it was found and what cures it."""

    code: str
    message: str
    cure: str
    level: Level = "error"
    file: str | None = None
    image_id: int | str | None = None
    annotation_id: int | str | None = None

    def __post_init__(self) -> None:
        if len(self.message) > LONGEST:
            object.__setattr__(self, "message", f"{self.message[: LONGEST - 201]}…{self.message[-200:]}")

    def as_dict(self) -> dict[str, Any]:
        """Gives the finding as plain JSON data, the level first."""
        return {"level": self.level, **{key: value for key, value in asdict(self).items() if key != "level"}}

    def line(self) -> str:
        """Gives the finding as one line: code, place, message, cure."""
        place = [str(self.file)] if self.file is not None else []
        if self.image_id is not None:
            place.append(f"image {self.image_id}")
        if self.annotation_id is not None:
            place.append(f"annotation {self.annotation_id}")
        where = f"{', '.join(place)}: " if place else ""
        return f"[{self.code}] {where}{self.message}; {self.cure}"


class DatasetRefused(Exception):
    """A dataset that cannot be used; carries every finding, not only the first."""

    def __init__(self, problems: Sequence[Problem], *, layout: str = "unknown") -> None:
        self.problems = tuple(problems)
        self.layout = layout  # as far as it was recognised
        super().__init__(summary(self.problems))


def errors(problems: Iterable[Problem]) -> list[Problem]:
    """Picks the findings that stop a job."""
    return [problem for problem in problems if problem.level == "error"]


def warnings(problems: Iterable[Problem]) -> list[Problem]:
    """Picks the findings that a job survives."""
    return [problem for problem in problems if problem.level == "warning"]


def summary(problems: Iterable[Problem], *, shown: int = SHOWN, report: str | None = None) -> str:
    """Gives the first errors as text; with `report`, says where all of them stand."""
    found = errors(problems)
    if len(found) == 1:
        return found[0].line()
    # The first line stands alone where only one is shown.
    lines = [f"the dataset has {len(found)} errors, the first: {found[0].line()}"]
    lines += [f"  {number}. {problem.line()}" for number, problem in enumerate(found[:shown], 1)]
    if len(found) > shown:
        rest = f"  … and {len(found) - shown} more"
        lines.append(f"{rest}, all of them in {report}" if report else rest)
    return "\n".join(lines)
