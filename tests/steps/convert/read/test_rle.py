"""Run lengths, COCO's short text and pixels say the same, whichever they are made from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.convert.dataset import Rle
from steps.convert.read import rle

# The short text of a known mask, as COCO's own tools write it.
KNOWN = [6, 1, 40, 4, 5, 4, 5, 4, 21]
KNOWN_TEXT = "61X13mN000`0"

MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda sides: st.lists(st.booleans(), min_size=sides[0] * sides[1], max_size=sides[0] * sides[1]).map(
        lambda pixels: np.array(pixels, dtype=bool).reshape(sides)
    )
)


def test_the_short_text_is_that_of_coco() -> None:
    assert rle.encode_counts(np.array(KNOWN)) == KNOWN_TEXT
    (counts,) = rle.decode_counts([KNOWN_TEXT])
    assert counts is not None
    assert counts.tolist() == KNOWN


@given(MASKS)
@settings(deadline=None, max_examples=60)
def test_pixels_come_back(mask: np.ndarray) -> None:
    made = rle.from_mask(mask)
    assert (made.height, made.width) == mask.shape
    assert made.counts.sum() == mask.size
    assert (rle.to_mask(made) == mask).all()
    assert rle.area(made) == mask.sum()
    rows, columns = np.nonzero(mask)
    sides = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1) if len(rows) else (0, 0, 0, 0)
    assert rle.box(made) == sides


@given(st.lists(st.lists(st.integers(0, 2**28), min_size=1, max_size=12), max_size=5))
@settings(deadline=None, max_examples=60)
def test_many_short_texts_are_read_at_once(masks: list[list[int]]) -> None:
    texts = [rle.encode_counts(np.array(counts)) for counts in masks]
    assert [counts.tolist() for counts in rle.decode_counts(texts) if counts is not None] == masks


@pytest.mark.parametrize("text", ["", "~", "\x00", "이름", "a" * 20, "P"])
def test_a_text_that_means_nothing_spoils_only_itself(text: str) -> None:
    found = rle.decode_counts([KNOWN_TEXT, text, KNOWN_TEXT])
    assert found[1] is None
    assert [None if counts is None else counts.tolist() for counts in (found[0], found[2])] == [KNOWN, KNOWN]


def test_a_column_holds_masks_by_row_and_moves_them() -> None:
    masks = {3: Rle(2, 3, np.array([1, 2, 3])), 7: Rle(1, 1, np.array([0, 1]))}
    column = rle.RleColumn.of(masks)
    assert sorted(column) == [3, 7]
    assert (column[3].height, column[3].width, column[3].counts.tolist()) == (2, 3, [1, 2, 3])
    assert 4 not in column
    moved = column.moved(np.array([-1, -1, -1, -1, -1, -1, -1, 0]))
    assert {row: mask.counts.tolist() for row, mask in moved.items()} == {0: [0, 1]}
    assert dict(rle.RleColumn.of({})) == {}
