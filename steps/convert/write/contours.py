"""Follows the outline of a mask along the edges of its pixels, so that filling it gives the same pixels again."""

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import Floats


def trace(mask: npt.NDArray[np.bool_]) -> list[Floats]:
    """Gives the rings around and within a (height, width) mask, holes among them, for the even-odd rule.

    Every boundary is made of runs along rows and runs along columns, and each corner ends one of either:
    sorted by row and by column, corners pair up to runs, and walking from pair to pair closes the rings.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    top, left = int(rows[0]), int(columns[0])
    cut = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1)
    nw, ne, sw, se = cut[:-1, :-1], cut[:-1, 1:], cut[1:, :-1], cut[1:, 1:]
    crossed = (nw == se) & (ne == sw) & (nw != ne)
    y, x = np.nonzero(((nw != sw) != (ne != se)) | crossed)
    # Where two pixels touch by a corner only, two corners lie on one point; the pixels stay joined, as one part.
    double, down = crossed[y, x], nw[y, x]
    times = np.where(double, 2, 1)
    second = np.zeros(int(times.sum()), dtype=np.int64)
    second[(np.cumsum(times) - 1)[double]] = 1
    y, x, double, down = (np.repeat(values, times) for values in (y, x, double, down))
    # By row: the first of two ends the run from the left. By column the same, or the other way where it goes down.
    by_row = np.lexsort((second, x, y))
    by_column = np.lexsort((np.where(double & down, 1 - second, second), y, x))
    beside, below = np.empty(len(y), dtype=np.int64), np.empty(len(y), dtype=np.int64)
    beside[by_row[0::2]], beside[by_row[1::2]] = by_row[1::2], by_row[0::2]
    below[by_column[0::2]], below[by_column[1::2]] = by_column[1::2], by_column[0::2]
    corners = np.stack([x + left, y + top], axis=1).astype(np.float64)
    return [corners[ring] for ring in _rings(beside.tolist(), below.tolist())]


def _rings(beside: list[int], below: list[int]) -> list[list[int]]:
    left = [True] * len(beside)
    rings: list[list[int]] = []
    for start in range(len(beside)):
        if not left[start]:
            continue
        ring: list[int] = []
        at = start
        while left[at]:
            to = beside[at]
            ring += (at, to)
            left[at] = left[to] = False
            at = below[to]
        rings.append(ring)
    return rings
