"""A document is walked through in whole entries, whatever its spelling, and never held as a whole."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.convert.read import brackets, stream
from steps.convert.read.broken import BrokenJson, refusal
from steps.convert.read.records import records
from steps.convert.read.stream import Walk

ANY = msgspec.json.Decoder(list[Any])
TEXTS = st.text(max_size=8) | st.sampled_from(['"', "\\", '\\"', "{", "}]", "[{", "이름", "\U0001f529", "\\\\"])
INNER = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXTS, v, max_size=3),
    max_leaves=8,
)
ENTRIES = st.lists(st.dictionaries(TEXTS, INNER, max_size=4) | INNER, max_size=8)
OPTIONS: list[dict[str, Any]] = [{}, {"indent": 1}, {"separators": (",", ":"), "ensure_ascii": False}]


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "annotations.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return path


def walked(path: Path, *, guess: bool) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    found: dict[str, list[Any]] = {}
    walk = Walk(path, decoders={"images": ANY.decode, "annotations": ANY.decode} if guess else None)
    for piece in walk:
        found.setdefault(piece.key, []).extend(records(piece, ANY, lambda value: value))
    return found, walk.frame.value()


@given(
    ENTRIES, ENTRIES, st.dictionaries(TEXTS, INNER, max_size=3), st.sampled_from(OPTIONS), st.booleans(), st.booleans()
)
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    images: Any,
    annotations: Any,
    rest: Any,
    options: Any,
    late: bool,
    guess: bool,
) -> None:
    lists = {"images": images, "annotations": annotations}
    value = {**rest, **lists} if late else {**lists, **rest}
    text = json.dumps(value, **options)
    if any("\ud800" <= character <= "\udfff" for character in text):
        return
    found, frame = walked(written(tmp_path_factory.mktemp("walked"), text), guess=guess)
    assert found.get("images", []) == images
    assert found.get("annotations", []) == annotations
    assert frame == {**value, "images": [], "annotations": []}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("guess", [False, True])
def test_blocks_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, guess: bool) -> None:
    monkeypatch.setattr(brackets, "BLOCK", size)
    monkeypatch.setattr(stream, "BLOCK", size)
    monkeypatch.setattr(stream, "next_block", lambda file, offset, size: brackets.next_block(file, offset, size=size))
    monkeypatch.setattr(brackets.next_block, "__kwdefaults__", {"size": size})
    dice = random.Random(size)
    entries = [
        {"id": n, "text": dice.choice(['a"b', "\\", "이", '"}],', "x" * 9]), "in": [{"k": [n]}] * (n % 3)}
        for n in range(40)
    ]
    value = {"info": {"é": "\\"}, "images": entries, "annotations": entries[::-1], "end": 1}
    found, frame = walked(written(tmp_path, json.dumps(value, ensure_ascii=False)), guess=guess)
    assert found == {"images": entries, "annotations": entries[::-1]}
    assert frame == {**value, "images": [], "annotations": []}


BROKEN: list[tuple[str, str | bytes, str]] = [
    ("nothing", "", "line 1, column 1"),
    ("cut in a list", '{"images": [\n{"id": 1}', "line 2"),
    ("cut in a text", '{"images": [{"id": "1', "line 1"),
    ("comma at the end", '{"images": [{"id": 1},\n]}', "line 2"),
    ("comma at the beginning", '{"images": [,{"id": 1}]}', "line 1, column 13"),
    ("comma missing", '{"images": [{"id": 1} {"id": 2}]}', "line 1, column 23"),
    ("brackets crossed", '{"images": [{"id": 1]}}', "line 1"),
    ("two documents", '{"images": []}{}', "Extra data"),
    ("more after the end", '{"images": []} x', "Extra data"),
    ("a word", '{"images": [{"id": tru}]}', "line 1"),
    ("too deep", '{"images": [' + "[" * 600 + "]" * 600 + "]}", "nested"),
    ("twice", '{"images": [], "images": []}', "`images` stands in it twice"),
    ("CP949", '{"images": [\n{"file_name": "이름"}]}'.encode("cp949"), "not UTF-8 text (line 2)"),
    ("UTF-16", '{"images": []}'.encode("utf-16"), "UTF-16"),
    ("UTF-16 without a mark", '{"images": []}'.encode("utf-16-le"), "UTF-16"),
    ("UTF-32", '{"images": []}'.encode("utf-32"), "UTF-16 or UTF-32"),
    ("cut in a character", '{"images": [], "info": "이'.encode()[:-1], "UTF-8"),
    ("zeros", '{"images": [' + "\0" * 99, "line 1, column 13"),
    ("a digit too many", '{"images": [{"id": 007}]}', "line 1"),
    ("binary", bytes(range(256)), "line 1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_document_is_told_with_its_place(tmp_path: Path, text: str | bytes, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BrokenJson) as caught:
        walked(path, guess=True)
    (problem,) = refusal(path, "annotations.json", caught.value).problems
    assert problem.code == "document_broken"
    assert words in problem.line()
    assert problem.cure


def test_a_large_broken_document_is_told_with_its_place_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steps.convert.read.broken.PARSED_AGAIN", 0)
    text = '{"images": [\n' + ",\n".join(f'{{"id": {n}}}' for n in range(50_000)) + ',\n{"id": 1 "x"}\n]}'
    path = written(tmp_path, text)
    with pytest.raises(BrokenJson) as caught:
        walked(path, guess=True)
    assert "line 50002, column 10" in refusal(path, "a.json", caught.value).problems[0].line()


def test_marks_and_odd_values_are_no_hindrance(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf {"images": [{"id": NaN}, {"id": 1e999}, "word", null, [1]], "annotations": [] }\n'
    found, _ = walked(written(tmp_path, text), guess=True)
    assert json.dumps(found["images"]) == '[{"id": NaN}, {"id": Infinity}, "word", null, [1]]'


@pytest.mark.parametrize("gap", [" ", "\n" * 300, " " * 400])
def test_a_key_may_stand_far_from_its_list(tmp_path: Path, gap: str) -> None:
    found, _ = walked(written(tmp_path, f'{{"images"{gap}:{gap}[{{"id": 1}}], "annotations": []}}'), guess=True)
    assert found == {"images": [{"id": 1}]}


def test_a_key_that_is_written_oddly_is_told_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(BrokenJson, match="written oddly"):
        walked(written(tmp_path, r'{"im\u0061ges": [{"id": 1}], "annotations": []}'), guess=True)
