"""Turns run lengths of a mask into pixels and back: column by column, starting with background."""

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import Bools, Ints, Rle


def pixels(rle: Rle) -> Bools:
    """Gives the mask as a (height, width) table."""
    inside = np.zeros(len(rle.counts), dtype=bool)
    inside[1::2] = True
    return np.repeat(inside, rle.counts).reshape(rle.width, rle.height).T


def run_lengths(mask: npt.NDArray[np.bool_]) -> Ints:
    """Gives the run lengths of a (height, width) mask."""
    flat = np.concatenate([[False], mask.T.reshape(-1)])
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], turns, [mask.size]])).astype(np.int64)


def area(rle: Rle) -> int:
    """Counts the mask's pixels."""
    return int(rle.counts[1::2].sum())


def extent(rle: Rle) -> tuple[float, float, float, float]:
    """Gives the box around the mask: x, y, width, height; all 0 for an empty one."""
    mask = pixels(rle)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    x, y = float(columns[0]), float(rows[0])
    return x, y, float(columns[-1]) + 1 - x, float(rows[-1]) + 1 - y
