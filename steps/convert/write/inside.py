"""Says in plain steps whether a point lies within an object: what the checks of writers count on."""

from collections.abc import Sequence

import numpy as np

from steps.convert.dataset import Bools, Dataset, Floats, Rle


def within(rings: Sequence[Floats], points: Floats) -> Bools:
    """Marks the points that lie within any of the rings: a ray to the left crosses it an odd number of times."""
    found = np.zeros(len(points), dtype=bool)
    x, y = points[:, :1], points[:, 1:]
    for ring in rings:
        (ax, ay), (bx, by) = ring.T, np.roll(ring, -1, axis=0).T
        spans = (ay <= y) != (by <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = ax + (y - ay) / (by - ay) * (bx - ax)
        found |= (spans & (at < x)).sum(axis=1) % 2 == 1
    return found


def near(rings: Sequence[Floats], points: Floats, *, reach: float) -> Bools:
    """Marks the points that lie nearer than `reach` to an outline."""
    found = np.zeros(len(points), dtype=bool)
    for ring in rings:
        start, way = ring[None], np.roll(ring, -1, axis=0)[None] - ring[None]
        length = np.maximum((way**2).sum(axis=2), 1e-12)
        share = np.clip(((points[:, None] - start) * way).sum(axis=2) / length, 0, 1)
        gaps = points[:, None] - start - share[..., None] * way
        found |= ((gaps**2).sum(axis=2) < reach**2).any(axis=1)
    return found


def on_mask(rle: Rle, points: Floats) -> Bools:
    """Marks the points whose pixel a mask holds: its runs go down the columns, the first says background."""
    x, y = np.floor(points).astype(np.int64).T
    run = np.searchsorted(np.cumsum(rle.counts), x * rle.height + y, side="right")
    held: Bools = (run % 2 == 1) & (x >= 0) & (x < rle.width) & (y >= 0) & (y < rle.height)
    return held


def grid(low: Floats, high: Floats, *, each: int) -> Floats:
    """Gives centres of pixels spread over a box."""
    xs, ys = (np.unique(np.floor(np.linspace(low[at], max(low[at], high[at] - 1), each))) + 0.5 for at in (0, 1))
    return np.stack(np.meshgrid(xs, ys), axis=2).reshape(-1, 2)


def rings_within(dataset: Dataset, row: int) -> list[Floats]:
    """Gives the rings of three points and more of an annotation."""
    outlines = dataset.outlines
    if outlines is None:
        return []
    bounds = [outlines.first_point[n : n + 2] for n in range(outlines.first_ring[row], outlines.first_ring[row + 1])]
    return [outlines.points[start:stop] for start, stop in bounds if stop - start >= 3]
