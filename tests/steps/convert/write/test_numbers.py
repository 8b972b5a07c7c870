"""Numbers become text as Python itself would write them, and text becomes the same numbers again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.convert.write.digits import cells, class_tokens, millionths, ranges
from steps.convert.write.label_lines import block
from steps.convert.write.tokens import Garbled, read_lines

SHARE = st.floats(0, 1) | st.tuples(st.integers(0, 10_000), st.integers(1, 10_000)).map(lambda p: min(p) / max(*p, 1))


@given(st.lists(SHARE, min_size=1, max_size=40))
def test_shares_are_rounded_as_python_rounds_them(values: list[float]) -> None:
    given_ = np.array(values)
    text = bytes(cells(millionths(given_))).decode()
    assert text == "".join(f" {value:.6f}" for value in values)


def test_ties_go_where_the_number_itself_lies() -> None:
    # Pixels by 640: half of the quotients lie on a tie, and a product with a million hides on which side.
    values = np.concatenate([np.arange(64_000) / 64_000, np.arange(6_400) / 100 / 640, [2.5e-6, 5e-7, 1.0, 0.0]])
    meant = [round(float(f"{value:.6f}") * 1e6) for value in values.tolist()]
    assert millionths(values).tolist() == meant
    assert (np.rint(values * 1e6) != meant).any()


@given(st.lists(st.tuples(st.integers(0, 119), st.tuples(*[st.integers(0, 1_000_000)] * 4)), min_size=1, max_size=30))
def test_lines_read_back_as_they_were_meant(rows: list[tuple[int, tuple[int, ...]]]) -> None:
    classes = np.array([row[0] for row in rows])
    numbers = np.array([row[1] for row in rows], dtype=np.int32)
    made = block(class_tokens(120), classes, [cells(numbers).reshape(-1, 36)], numbers)
    plain = "".join(f"{c} {' '.join(f'{n // 10**6}.{n % 10**6:06d}' for n in row)}\n" for c, row in rows)
    assert made.text.decode() == plain
    read = read_lines(made.text)
    assert read.classes.tolist() == classes.tolist()
    assert read.numbers.tolist() == numbers.reshape(-1).tolist()
    assert read.counts.tolist() == [4] * len(rows)
    assert read.ends.tolist() == made.ends.tolist()


@pytest.mark.parametrize(
    "text",
    [
        b"0 0.500000 0.500000", b"0 0.5 0.500000\n", b"0 0,500000\n", b"0 0.50000x\n", b"0  0.500000\n", b"0.500000\n",
        b"0 0.500000\t0.500000\n", b"x 0.500000\n", b"0 0.50:000\n", b"\n", b"12345678 0.500000\n", b"0 -0.50000\n",
    ],
)  # fmt: skip
def test_what_is_no_label_text_is_refused(text: bytes) -> None:
    with pytest.raises(Garbled):
        read_lines(text)


@given(st.integers(0, 200), st.integers(0, 255))
def test_no_changed_byte_goes_unseen(at: int, value: int) -> None:
    numbers = np.arange(0, 20 * 37_000, 37_000, dtype=np.int32).reshape(5, 4)
    made = block(class_tokens(12), np.arange(7, 12), [cells(numbers).reshape(-1, 36)], numbers)
    text = bytearray(made.text)
    at %= len(text)
    if text[at] == value:
        return
    text[at] = value
    try:
        read = read_lines(bytes(text))
    except Garbled:
        return
    same = [np.array_equal(a, b) for a, b in ((read.classes, made.classes), (read.numbers, made.numbers))]
    assert not (all(same) and np.array_equal(read.counts, made.counts) and np.array_equal(read.ends, made.ends))


def test_whole_numbers_stand_between_shares() -> None:
    read = read_lines(b"3 0.250000 1.000000 2 0.000001 0.000000 0\n11\n")
    assert read.numbers.tolist() == [250_000, 1_000_000, 2, 1, 0, 0]
    assert (read.classes.tolist(), read.counts.tolist()) == ([3, 11], [6, 0])
    assert len(read_lines(b"").classes) == 0


def test_ranges_run_one_after_the_other() -> None:
    assert ranges(np.array([5, 0, 9]), np.array([2, 0, 3])).tolist() == [5, 6, 9, 10, 11]
    assert ranges(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)).tolist() == []
