"""Keeps the account of a repair: the dataset as it becomes, what was done to it, and what waits for a person."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steps.convert.check.telling import document_of, image_id
from steps.convert.dataset import Bools, Dataset
from steps.convert.problems import Problem

EXAMPLES = 10


@dataclass(slots=True)
class Fix:
    """One kind of repair: how often it was made, and the first places."""

    code: str
    what: str
    count: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Gives the fix as JSON data."""
        return {"code": self.code, "count": self.count, "what": self.what, "examples": self.examples}


class Repair:
    """A dataset under repair."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.left: list[Problem] = []
        self.turned: set[str] = set()  # names of images whose EXIF orientation is to be reset
        self._fixes: dict[tuple[str, str], Fix] = {}

    @property
    def fixes(self) -> list[Fix]:
        """Gives what was done, the most frequent first."""
        return sorted(self._fixes.values(), key=lambda fix: (-fix.count, fix.code))

    def image(self, row: int) -> int | str:
        """Gives an image's id as the dataset writes it."""
        return image_id(self.dataset, row)

    def did(self, code: str, what: str, *, times: int = 1, **example: Any) -> None:
        """Notes that a kind of repair was made."""
        fix = self._fixes.setdefault((code, what), Fix(code, what))
        fix.count += times
        if example and len(fix.examples) < EXAMPLES:
            fix.examples.append({key: value for key, value in example.items() if value is not None})

    def did_rows(self, code: str, what: str, mask: Bools) -> None:
        """Notes a repair of each marked annotation."""
        rows = np.flatnonzero(mask)
        for at in rows[:EXAMPLES].tolist():
            row = int(self.dataset.annotation_image[at])
            box = self.dataset.boxes[at]
            shown = [round(float(number), 2) for number in box] if np.isfinite(box).all() else None
            self.did(
                code,
                what,
                file=document_of(self.dataset, row),
                image=self.image(row),
                annotation=int(self.dataset.annotation_ids[at]),
                bbox=shown,
            )
        if len(rows) > EXAMPLES:
            self.did(code, what, times=len(rows) - EXAMPLES)

    def leave(self, code: str, message: str, cure: str, *, image: int | str | None = None) -> None:
        """Names what is not repaired, because only a person knows what was meant."""
        self.left.append(Problem(code=code, file=self.dataset.document, image_id=image, message=message, cure=cure))

    def leave_all(self, problems: Iterable[Problem]) -> None:
        """Names findings that are not repaired."""
        self.left.extend(problems)
