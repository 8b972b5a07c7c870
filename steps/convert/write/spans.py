"""Fills polygons: which pixels have their centre inside, as runs within rows, for many polygons at once."""

from dataclasses import dataclass

import numpy as np

from steps.convert.dataset import Bools, Floats, Ints
from steps.convert.write.digits import ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Runs of pixels: ring, row, first column, and the column behind the last; sorted by ring, row and column."""

    ring: Ints
    row: Ints
    left: Ints
    right: Ints


def fill(points: Floats, first: Ints, sizes: Ints) -> Spans:
    """Fills each ring (points first[r] up to first[r + 1]) by the even-odd rule, within its image (width, height).

    A pixel is inside when its centre is: neighbours that share an edge share no pixel and leave none out.
    """
    lengths = np.diff(first)
    ring = np.repeat(np.arange(len(lengths)), lengths)
    following = np.arange(1, len(points) + 1)
    following[(first[1:] - 1)[lengths > 0]] = first[:-1][lengths > 0]
    x0, y0 = points[:, 0], points[:, 1]
    x1, y1 = x0[following], y0[following]
    top = np.ceil(np.minimum(y0, y1) - 0.5)
    bottom = np.ceil(np.maximum(y0, y1) - 0.5)
    top, bottom = np.maximum(top, 0).astype(np.int64), np.minimum(bottom, sizes[ring, 1]).astype(np.int64)
    height = np.maximum(bottom - top, 0)
    edge = np.repeat(np.arange(len(points)), height)
    row = ranges(top, height)
    slope = np.divide(x1 - x0, y1 - y0, out=np.zeros(len(points)), where=height > 0)
    crossing = x0[edge] + (row + 0.5 - y0[edge]) * slope[edge]
    of = ring[edge]
    width = sizes[:, 0] + 1
    column = np.clip(np.ceil(crossing - 0.5), 0, sizes[of, 0]).astype(np.int64)
    # One number for ring, row and column sorts many times faster than three; no two rings share a range of them.
    base = np.concatenate([[0], np.cumsum(width * sizes[:, 1])])
    key = np.sort(base[of] + row * width[of] + column)
    of = np.repeat(np.arange(len(lengths)), np.bincount(of, minlength=len(lengths)))[::2]
    row, left = np.divmod(key[::2] - base[of], width[of])
    right = key[1::2] - base[of] - row * width[of]
    filled = right > left
    return Spans(ring=of[filled], row=row[filled], left=left[filled], right=right[filled])


def overlapping(spans: Spans, group: Ints, sizes: Ints) -> Bools:
    """Marks the groups (of rings, ascending) in which two rings cover the same pixel; `sizes` are by group."""
    of = group[spans.ring]
    width = sizes[:, 0] + 1
    base = np.concatenate([[0], np.cumsum(width * sizes[:, 1])])
    line = base[of] + spans.row * width[of]
    # Runs are apart exactly when, both ends sorted on their own, each ends before the next begins.
    left, right = np.sort(line + spans.left), np.sort(line + spans.right)
    found = np.zeros(len(sizes), dtype=bool)
    found[np.searchsorted(base, left[1:][left[1:] < right[:-1]], side="right") - 1] = True
    return found


def paint(spans: Spans, canvas: np.ndarray, values: Ints) -> None:
    """Paints each ring's value over a (height, width) canvas; later rings lie on top."""
    width = canvas.shape[1]
    lengths = spans.right - spans.left
    canvas.reshape(-1)[ranges(spans.row * width + spans.left, lengths)] = np.repeat(values[spans.ring], lengths)
