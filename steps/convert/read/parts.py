"""Names of the parts of a split as folders, lists and keys spell them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import NO_PART, TEST, TRAIN, VAL
from steps.convert.problems import Problem

WORDS = {
    "train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "dev": VAL, "test": TEST,
    "testing": TEST,
}  # fmt: skip
TITLES = {TRAIN: "train", VAL: "val", TEST: "test"}


def part_of(word: str) -> int:
    """Gives the part that a word such as `valid` or `train2017` names, NO_PART where it names none."""
    return WORDS.get(word.lower().rstrip("0123456789").rstrip("-_"), NO_PART)


def image_parts(parts: Sequence[int]) -> npt.NDArray[np.int8] | None:
    """Gives the column of parts; None where nothing but train is told, for that is no split."""
    column = np.array(parts, dtype=np.int8)
    return column if np.isin(column, (VAL, TEST)).any() else None


def conflict(name: str, first: int, second: int, *, file: str) -> Problem:
    """Says that an image stands in two parts."""
    return Problem(
        code="part_conflict",
        file=file,
        message=f"{name} is in {TITLES[first]} and in {TITLES[second]}: what is trained on proves nothing",
        cure=f"list it once; drop the list of {TITLES[VAL]} to have it split off automatically",
    )
