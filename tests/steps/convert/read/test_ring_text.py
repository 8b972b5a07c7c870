"""Polygons that are read many at once are what JSON says they are, number by number and ring by ring."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.convert.read.ring_text import read_rings
from steps.convert.read.shapes import OutlineColumn

SHORT = st.sampled_from(["0", "-0", "-0.0", "7", "12345678", "0.1", "-0.25", "99.99", "-123.45", "1234567", "0.000001"])
DIGITS = st.tuples(st.integers(-99_999, 99_999), st.integers(0, 4))
DECIMALS = DIGITS.map(lambda two: f"{two[0] / 10 ** two[1]:.{two[1]}f}")
NUMBERS = SHORT | DECIMALS
RING = st.lists(NUMBERS, min_size=1, max_size=8)
ROWS = st.lists(st.tuples(st.lists(RING, min_size=1, max_size=3), st.sampled_from(["", " ", "\n\t"])), max_size=6)


def told(column: OutlineColumn, given: list[Any]) -> list[list[list[float]]]:
    """Adds shapes to a column as their text; gives the rings of each."""
    column.add([msgspec.Raw(json.dumps(shape).encode()) for shape in given], careful=False)
    numbers, sizes = column.points.tolist(), column.ring_sizes.tolist()
    rings = [[numbers.pop(0) for _ in range(size)] for size in sizes]
    return [[rings.pop(0) for _ in range(count)] for count in column.ring_counts]


@given(ROWS)
def test_every_number_is_what_python_reads(rows: list[tuple[list[list[str]], str]]) -> None:
    texts = []
    for rings, white in rows:
        lists = [f"[{white}{f',{white}'.join(ring)}{white}]" for ring in rings]
        texts.append((lists[0] if len(rings) == 1 and white else f"[{','.join(lists)}]").encode())
    read = read_rings(texts)
    wanted = [number for rings, _ in rows for ring in rings for number in ring]
    if read is None:
        assert sum(len(text) > 8 for text in wanted) * 4 > len(wanted)
        return
    assert read.counts.tolist() == [len(rings) for rings, _ in rows]
    assert read.sizes.tolist() == [len(ring) for rings, _ in rows for ring in rings]
    # As JSON has it, there is no whole number -0; to the last bit, so that -0.0 is told from 0.
    floats = np.array([float(json.loads(text)) for text in wanted])
    assert read.numbers.view(np.uint64).tolist() == floats.view(np.uint64).tolist()


@pytest.mark.parametrize(
    "odd",
    ["[[1,2],3]", "[[1,2],3,[4,5]]", "[1,[2,3]]", "[1,[2,3],4]", "[[1,2],[[3]]]", "[[]]", "[[1],[]]", "[[[1]]]",
     '["a"]', "[[1e5]]", "[null]", "[[1,[2],3]]", "[[1,2],{}]", "[true]", "[]", "[[1234567890123456789012345]]"],
)  # fmt: skip
def test_what_is_no_list_of_rings_is_left_to_others(odd: str) -> None:
    assert read_rings([b"[[1,2]]", odd.encode(), b"[[3,4]]"]) is None


def test_a_malformed_shape_costs_itself_alone() -> None:
    flaws: list[tuple[int, str]] = []
    column = OutlineColumn(lambda row, code, message, cure: flaws.append((row, code)))
    plain, long = [[1, 2, 3.5, 4, 5, 6]], [[0.12345678901234567, 1e-7, 123456789.125, 2]]
    rings = told(column, [plain, None, [], long, [[1, 2, 3]], "round", [7, 8], {"size": [1], "counts": 3}])
    assert rings == [plain, [], [], long, [], [], [[7, 8]], []]
    assert flaws == [(4, "polygon_malformed"), (5, "polygon_malformed"), (7, "mask_malformed")]
    column = OutlineColumn(lambda row, code, message, cure: flaws.append((row, code)))
    assert told(column, [plain, {"size": [2, 3], "counts": [1, 5]}, long]) == [plain, [], long]
    assert (column.masks[1].height, column.masks[1].counts.tolist()) == (2, [1, 5])
