"""Turns the text of many YOLO label files into one column of numbers, cut into lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steps.convert.dataset import Floats, Ints


@dataclass(frozen=True, slots=True)
class Form:
    """What the lines of a dataset look like: how many classes, keypoints of which shape, and what is wanted."""

    classes: int
    shape: tuple[int, int] | None = None
    outlines: bool = True
    keypoints: bool = True

    @property
    def pose_width(self) -> int | None:
        """How many numbers a line with keypoints has."""
        return 5 + self.shape[0] * self.shape[1] if self.shape else None


@dataclass(slots=True)
class Lines:
    """Lines as slices of one column of numbers."""

    numbers: Floats
    first: Ints  # where a line's numbers begin
    width: Ints  # how many it has
    file: Ints  # which file it stands in
    number: Ints  # its number in that file, from 1


def tokenize(texts: Sequence[bytes]) -> Lines | None:
    """Parses files that each end in a line break; None where something in them is no number."""
    joined = b"".join(texts)
    data = np.frombuffer(joined, dtype=np.uint8)
    blank = (data == 32) | (data - np.uint8(9) < 5)  # space, and tab to carriage return
    begins = ~blank
    begins[1:] &= blank[:-1]
    ends = np.flatnonzero(data == 10)
    counted = np.cumsum(begins, dtype=np.int64)[ends]
    total = int(counted[-1]) if len(counted) else 0
    try:
        numbers = np.fromstring(joined, sep=" ") if total else np.empty(0)
    except ValueError:
        return None
    if len(numbers) != total:
        return None
    width = np.diff(counted, prepend=0)
    lengths = np.cumsum([len(text) for text in texts])
    file = np.searchsorted(lengths, ends, side="right")
    first_of_file = np.searchsorted(ends, np.concatenate([[0], lengths[:-1]]))
    number = np.arange(len(ends)) - first_of_file[file] + 1
    some = width > 0
    return Lines(numbers, (counted - width)[some], width[some], file[some], number[some])
