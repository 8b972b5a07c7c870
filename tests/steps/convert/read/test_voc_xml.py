"""Annotation files are read safely: whatever they hold, they are read or refused in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.convert.read.voc_xml import XmlRefused, read_xml

LAUGHS = (
    b'<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>'
    b"<annotation><filename>&lol2;</filename></annotation>"
)
OTHER_FILE = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>'


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (LAUGHS, "document type or entities"),
        (OTHER_FILE, "document type or entities"),
        (OTHER_FILE.decode().encode("utf-16"), "document type or entities"),
        (b'<?xml version="1.0" encoding="utf-7"?>' + OTHER_FILE.decode().encode("utf-7"), "document type or entities"),
        (b"<annotation>&lol;</annotation>", "undefined entity"),
        (b"<annotation><object>", "broken XML at line 1"),
        (b"<annotation>\n<object></annotation>", "broken XML at line 2, column"),
        ("<annotation>나사</annotation>".encode("cp949"), "broken XML"),
        (b'<?xml version="1.0" encoding="zip"?><annotation/>', "'zip' is unknown"),
        (b'<?xml version="1.0" encoding="euc-kr"?><annotation>\xff</annotation>', "is not euc-kr"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{}", "broken XML"),
        (b"<annotations/>", "<annotations>, not <annotation>"),
        (b"\xff\xfe\x00", "utf-16"),
        (b"<annotation>" + b" " * 2**24 + b"</annotation>", "larger than 16 MB"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(raw: bytes, words: str) -> None:
    with pytest.raises(XmlRefused) as refusal:
        read_xml(raw)
    message, cure = refusal.value.args
    assert words in message
    assert cure


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "euc-kr", "cp949"])
def test_encodings_that_korean_tools_write(coding: str) -> None:
    declared = coding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><annotation><object><name>나사</name></object></annotation>'
    assert read_xml(text.encode(coding)).objects[0].name == "나사"


def test_the_predefined_entities_are_text() -> None:
    raw = b"<annotation><!-- !DOCTYPE --><object><name>a &amp; b &#x1F600;</name></object></annotation>"
    assert read_xml(raw).objects[0].name == "a & b 😀"


def test_deep_nesting_does_not_end_the_process() -> None:
    depth = 100_000
    assert read_xml(b"<annotation>" + b"<a>" * depth + b"</a>" * depth + b"</annotation>").objects == []


def test_numbers_that_are_none_are_not_taken_for_a_missing_box() -> None:
    corners = b"<xmin>nan</xmin><ymin>1</ymin><xmax>2</xmax><ymax>3</ymax>"
    raw = b"<annotation><object><name>a</name><bndbox>" + corners + b"</bndbox></object></annotation>"
    assert read_xml(raw).objects[0].box == (float("inf"),) * 4


TAGS = st.sampled_from(
    ["object", "name", "bndbox", "xmin", "xmax", "ymin", "ymax", "size", "width", "polygon", "pt", "x1", "part"]
)
XML = st.recursive(
    st.sampled_from(["", "1", "-2.5", "1e999", "nan", "x", "&amp;", "<!-- -->", "<![CDATA[3]]>"]),
    lambda inner: st.builds(lambda tag, parts: f"<{tag}>{''.join(parts)}</{tag}>", TAGS, st.lists(inner, max_size=5)),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(XML, max_size=4).map(lambda parts: f"<annotation>{''.join(parts)}</annotation>".encode()) | st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        found = read_xml(raw)
    except XmlRefused as refusal:
        assert len(refusal.args) == 2
        return
    for one in found.objects:
        assert isinstance(one.box, str) or len(one.box) == 4
