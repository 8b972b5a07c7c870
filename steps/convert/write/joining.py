"""Joins the rings of one object to a single ring, for formats that hold one outline for each object."""

from collections.abc import Sequence

import numpy as np

from steps.convert.dataset import Floats

MANY = 64  # rings; beyond it each is joined to the one before it instead of to the nearest of all
PAIRS = 1 << 20  # distances at once


def joined(rings: Sequence[Floats]) -> Floats:
    """Gives one ring through all points: from ring to ring along a bridge that is walked there and back.

    A bridge goes from a ring's nearest point to the nearest point of what is joined already, and encloses nothing:
    by the even-odd rule the result covers what the rings cover, holes among them. Points keep their order.
    """
    outline = np.ascontiguousarray(rings[0], dtype=np.float64).view(np.complex128).reshape(-1)
    low, high = 0, len(outline)
    for points in rings[1:]:
        ring = np.ascontiguousarray(points, dtype=np.float64).view(np.complex128).reshape(-1)
        at, entry = nearest(outline[low:high], ring)
        at += low
        outline = np.concatenate([outline[: at + 1], ring[entry:], ring[: entry + 1], outline[at:]])
        low, high = (at + 1, at + 2 + len(ring)) if len(rings) > MANY else (0, len(outline))
    return outline.view(np.float64).reshape(-1, 2)


def nearest(a: np.ndarray, b: np.ndarray) -> tuple[int, int]:
    """Gives the places of the two points, complex numbers both, that lie nearest to each other; the first of equals."""
    if len(a) * len(b) <= PAIRS:
        return divmod(int(_distances(a, b).argmin()), len(b))
    step = max(1, PAIRS // len(b))
    best, place = np.inf, (0, 0)
    for start in range(0, len(a), step):
        distances = _distances(a[start : start + step], b)
        least = int(distances.argmin())
        if distances.flat[least] < best:
            best = float(distances.flat[least])
            place = (start + least // len(b), least % len(b))
    return place


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Gives the squares of the distances between the points of both."""
    across = a.real[:, None] - b.real
    across *= across
    down = a.imag[:, None] - b.imag
    down *= down
    across += down
    return across
