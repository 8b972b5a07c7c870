"""Polygons are filled by the centres of pixels, masks are followed exactly, and joined parts cover the same."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from steps.convert.dataset import Rle
from steps.convert.write.contours import trace
from steps.convert.write.joining import joined
from steps.convert.write.runs import area, extent, pixels, run_lengths
from steps.convert.write.spans import Spans, fill, overlapping, paint

MASKS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
POINT = st.tuples(st.floats(-3, 24), st.floats(-3, 19))
RINGS = st.lists(st.lists(POINT, min_size=3, max_size=8), min_size=1, max_size=4)
WIDTH, HEIGHT = 20, 15


def filled(rings: list[np.ndarray], *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Gives how often each pixel is covered."""
    first = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])])
    sizes = np.tile([width, height], (len(rings), 1))
    spans = fill(np.concatenate(rings).astype(float), first, sizes)
    canvas = np.zeros((height, width), dtype=int)
    for ring in range(len(rings)):
        own = spans.ring == ring
        layer = np.zeros_like(canvas)
        some = Spans(ring=spans.ring[own], row=spans.row[own], left=spans.left[own], right=spans.right[own])
        paint(some, layer, np.ones(len(rings), dtype=int))
        canvas += layer
    return canvas


def inside(ring: np.ndarray, x: float, y: float) -> bool:
    """The even-odd rule as the books have it."""
    odd = False
    for (ax, ay), (bx, by) in zip(ring.tolist(), np.roll(ring, -1, axis=0).tolist(), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * ((bx - ax) / (by - ay)):
            odd = not odd
    return odd


@given(RINGS)
@settings(max_examples=60, deadline=None)
def test_pixels_are_filled_by_their_centres(rings: list[list[tuple[float, float]]]) -> None:
    some = [np.array(ring) for ring in rings]
    meant = [[sum(inside(r, x + 0.5, y + 0.5) for r in some) for x in range(WIDTH)] for y in range(HEIGHT)]
    assert filled(some).tolist() == meant


@given(RINGS)
@settings(deadline=None)
def test_overlaps_are_found(rings: list[list[tuple[float, float]]]) -> None:
    some = [np.array(ring) for ring in rings]
    first = np.concatenate([[0], np.cumsum([len(ring) for ring in some])])
    spans = fill(np.concatenate(some), first, np.tile([WIDTH, HEIGHT], (len(some), 1)))
    # The second group is a ring that stands alone.
    found = overlapping(spans, np.zeros(len(some), dtype=int), np.array([[WIDTH, HEIGHT]]))
    assert found.tolist() == [bool((filled(some) > 1).any())]


@given(MASKS)
def test_a_followed_mask_fills_to_itself(mask: np.ndarray) -> None:
    height, width = mask.shape
    rings = trace(mask)
    assert bool(rings) == bool(mask.any())
    if rings:
        assert (filled([joined(rings)], width=width, height=height) == mask).all()


@given(RINGS)
def test_joining_keeps_every_point_and_the_area(rings: list[list[tuple[float, float]]]) -> None:
    some = [np.array(ring) for ring in rings]
    one = joined(some)
    assert len(one) == sum(map(len, some)) + 2 * (len(some) - 1)
    assert {tuple(p) for p in one.tolist()} == {tuple(p) for ring in some for p in ring.tolist()}
    assert abs(_area(one) - sum(map(_area, some))) < 1e-6


def test_parts_far_apart_and_many_are_joined_in_order() -> None:
    rings = [np.array([[x, 0], [x + 0.9, 0], [x, 0.9]]) for x in range(100)]
    one = joined(rings)
    assert len(one) == 300 + 2 * 99
    assert abs(_area(one) - sum(map(_area, rings))) < 1e-9
    near = [np.array([[0, 0], [4, 0], [4, 4], [0, 4]]), np.array([[6, 1], [6, 3], [9, 2]])]
    assert joined(near).tolist()[1:3] == [[4, 0], [6, 1]]


@given(MASKS)
def test_run_lengths_go_there_and_back(mask: np.ndarray) -> None:
    rle = Rle(mask.shape[0], mask.shape[1], run_lengths(mask))
    assert int(rle.counts.sum()) == mask.size
    assert (pixels(rle) == mask).all()
    assert area(rle) == int(mask.sum())
    x, y, w, h = map(int, extent(rle))
    assert mask[y : y + h, x : x + w].sum() == mask.sum()
    assert w * h == 0 or (mask[y].any() and mask[:, x].any() and mask[y + h - 1].any() and mask[:, x + w - 1].any())


def _area(ring: np.ndarray) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
