"""Text that is spelled piece by piece says the same as the canonical form of its value, byte for byte."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steps.convert.read.json_content import JsonContent
from steps.convert.read.spelling import Speller, parsed
from steps.convert.read.stream import Walk
from steps.convert.version import canonical, document_content

NUMBERS = (
    st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-10_000, 10_000, places=2, allow_nan=False).map(float)
    | st.floats(-1, 1).map(lambda number: number * 1e-6)
)
TEXTS = st.text(max_size=6) | st.sampled_from(
    ["1.50,", "a.0]", "1e5}", '"', "\\", " x ", "0.00001", "{", "12345678901234567890"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ENTRIES = st.lists(
    st.dictionaries(st.sampled_from(["id", "bbox", "area", "é", 'q"']) | TEXTS, VALUES, max_size=5), max_size=6
)
SPELLINGS: list[dict[str, Any]] = [{}, {"indent": 2}, {"separators": (",", ":"), "ensure_ascii": False}]

# Spellings of numbers that say the same: exponents, zeros, signs.
WRITTEN = [
    "0", "-0", "-0.0", "0.0", "0e0", "-0e5", "1.50", "1.500", "-1.0", "10", "100.0", "1000", "10.10", "1e2", "1E2",
    "1e+2", "12.5e1", "1e-7", "0.0000001", "1e16", "1e15", "123456789012345678", "1234567890123456.0", "-10.0",
    "9007199254740993", "9007199254740993.0", "1e22", "1e300", "5e-324", "0.30000000000000004", "3.00000000000000000",
    "0.1000000000000000055511151231257827", "-10", "-0.50", "0.00010", "0.000010", "10.00001",
]  # fmt: skip


@given(ENTRIES, st.sampled_from(SPELLINGS))
@settings(deadline=None, max_examples=60)
@example([{"a": "x.0,"}, {"a": 1.0}], {})
@example([{"a": {"b": 1.0, "a": "}"}}, {"c": -0.0}], {})
@example([{"a": 1, "b": 2}, {"b": 1.5}, {"c": None}], {})
def test_a_list_is_spelled_as_its_value(entries: list[Any], options: dict[str, Any]) -> None:
    text = json.dumps(entries, **options).encode("utf-8", "surrogatepass")
    speller = Speller()
    for _ in range(2):  # the second time it knows the keys
        assert speller.spell(text) == canonical(entries)
    assert parsed(text) == canonical(entries)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_number_has_one_spelling(written: str) -> None:
    text = f'[{{"b": [{written}, {written}], "a": {written}, "s": "{written},"}}]'
    assert Speller().spell(text.encode()) == canonical(json.loads(text))
    assert parsed(text.encode()) == canonical(json.loads(text))


def test_one_odd_number_costs_the_short_way_for_a_while_and_no_more() -> None:
    speller = Speller()
    for text in (
        '[{"a": 1e-9}]',
        *(f'[{{"a": {n}.50, "b": 0.12345678901234567}}, {{"a": {n}.50}}]' for n in range(40)),
    ):
        assert speller.spell(text.encode()) == canonical(json.loads(text))


@given(
    st.dictionaries(st.sampled_from(["info", "version", "split_config", "categories"]) | TEXTS, VALUES, max_size=4),
    ENTRIES,
    ENTRIES,
    st.sampled_from(SPELLINGS),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_a_document_is_spelled_as_its_value(
    tmp_path_factory: pytest.TempPathFactory, frame: Any, images: Any, annotations: Any, options: Any, late: bool
) -> None:
    lists = {"images": images, "annotations": annotations}
    value = {**frame, **lists} if late else {**lists, **frame}
    path = tmp_path_factory.mktemp("spelled") / "annotations.json"
    path.write_bytes(json.dumps(value, **options).encode("utf-8", "surrogatepass"))
    if any("\ud800" <= character <= "\udfff" for character in path.read_text(errors="surrogatepass")):
        return
    walk = Walk(path)
    for _ in walk:
        pass
    content, whole = JsonContent(path, walk.frame), document_content(value)
    assert (b"".join(content.pieces()), content.length) == (whole, len(whole))


def test_a_document_of_many_pieces_is_spelled_as_its_value(tmp_path: Path) -> None:
    entries = [{"id": n, "bbox": [n / 4, 1.0, 2.50, n], "note": "x" * (n % 50)} for n in range(30_000)]
    value = {"annotations": entries, "images": entries[:5], "categories": []}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(value))
    walk = Walk(path)
    pieces = list(walk)
    assert len(pieces) > 4
    content = JsonContent(path, walk.frame)
    assert b"".join(content.pieces()) == document_content(value)
