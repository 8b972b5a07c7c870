"""The YAML of dataset descriptions means what PyYAML says it means, or is refused by its line."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.convert.read.plain_yaml import YamlRefused, parse_yaml

TEXTS = st.text(st.sampled_from("abc :#'\"-,[]{}!&*?|>%@`\\é한😀\t0~.="), max_size=90)
KEYS = st.text(st.sampled_from("ab1:#'\"-,[]{}!&*?|>%@ é한"), min_size=1, max_size=20)
VALUES = st.recursive(
    TEXTS | st.integers(-9, 99),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def as_texts(value: Any) -> Any:
    """Gives a value as texts alone; what is null and what is empty are the same to us."""
    if isinstance(value, dict):
        return {as_texts(key): as_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_texts(item) for item in value]
    return "" if value is None or value in ("~", "null") else str(value)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), st.sampled_from([True, False, None]), st.booleans())
def test_what_pyyaml_writes_is_read_as_pyyaml_reads_it(value: Any, flow: bool | None, allow_unicode: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=allow_unicode, sort_keys=False)
    try:
        got = parse_yaml(text)
    except YamlRefused as refusal:
        assert "complex key" in str(refusal) or "'?'" in str(refusal)
        return
    assert as_texts(got) == as_texts(yaml.load(text, yaml.BaseLoader))


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from("ab: -#[]{},'\"\n\n  0|&*"), max_size=60))
def test_any_text_is_read_or_refused_by_its_line(text: str) -> None:
    try:
        parse_yaml(text)
    except YamlRefused as refusal:
        assert 1 <= refusal.line <= text.count("\n") + 1


def test_a_description_as_ultralytics_ships_it() -> None:
    text = (
        "# COCO8-pose dataset\n\n# parent\n# ├── datasets\npath: ../datasets/coco8-pose # root\n"
        "train: images/train # 4 images\nval: images/val\ntest: # none\n\nkpt_shape: [17, 3] # x, y, v\n"
        "flip_idx:\n  [0, 2, 1, 4, 3,\n   6, 5] # mirrored\n\nnames:\n  0: person\n  1: 'it''s: a \"dog\"'\n"
        'kpt_names:\n  0:\n    - nose\n    - left_eye\n\ndownload: |\n  import os  # no: key\n\n  os.system("ls")\n'
    )
    assert parse_yaml(text) == {
        "path": "../datasets/coco8-pose",
        "train": "images/train",
        "val": "images/val",
        "test": None,
        "kpt_shape": ["17", "3"],
        "flip_idx": ["0", "2", "1", "4", "3", "6", "5"],
        "names": {"0": "person", "1": 'it\'s: a "dog"'},
        "kpt_names": {"0": ["nose", "left_eye"]},
        "download": 'import os  # no: key\n\nos.system("ls")',
    }


def test_long_lists_go_over_lines_between_the_words_of_a_name() -> None:
    text = "names: [person, traffic\n  light, 'fire\n  hydrant', stop sign # a comment\n  , x]\n"
    assert parse_yaml(text) == {"names": ["person", "traffic light", "fire hydrant", "stop sign", "x"]}


def test_windows_line_ends_a_byte_order_mark_and_document_marks() -> None:
    assert parse_yaml("\ufeff---\r\nnames: [a, b]\r\nnc: 2\r\n...\r\n") == {"names": ["a", "b"], "nc": "2"}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("names: &n [a]\n", 1, "anchor"),
        ("a: 1\nnames: *n\n", 2, "alias"),
        ("names: !!set {a}\n", 1, "tag"),
        ("a:\n  <<: b\n", 2, "merge"),
        ("? a\n: b\n", 1, "complex key"),
        ("names:\n\t- a\n", 2, "tab"),
        ("names: [a, 'b'\n", 1, "no end"),
        ("names: [a, b\nnc: 2\n", 2, "comma"),
        ("names: 'a\n", 1, "no end"),
        ("names: [a]\nnames: [b]\n", 2, "twice"),
        ("names: {a: 1, a: 2}\n", 1, "twice"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("names: a: b\n", 1, "quotes"),
        ("names: [a] b\n", 1, "follows the end"),
        ("names:\n  - a\n   - b\n", 3, "indented"),
        ("names: a\nx\n", 2, "no `key: value`"),
        ('names: "\\q"\n', 1, "escape"),
        ('names: "\\ud800"\n', 1, "escape"),
        ("just words\n", None, ""),
        ("a:\n" * 3 + "  b: 1\n", 2, "twice"),
        ("[" * 50 + "]" * 50, 1, "too deeply"),
        ("".join(" " * n + "a:\n" for n in range(50)), 22, "too deeply"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(text: str, line: int | None, word: str) -> None:
    if line is None:
        assert parse_yaml(text) == "just words"
        return
    with pytest.raises(YamlRefused, match=word) as refusal:
        parse_yaml(text)
    assert refusal.value.line == line
