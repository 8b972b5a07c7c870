"""The version hash names content: another spelling keeps it, another label or pixel changes it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.convert.check.inspection import inspect
from steps.convert.read.reading import read
from steps.convert.version import (
    canonical,
    dataset_version_hash,
    document_content,
    manifest,
    snapshot_id,
    text_content,
    what_changed,
)
from tests.steps.convert.making import document, picture, write

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def version(root: Path) -> str:
    found = inspect(root, task="object_detection").version_hash
    assert found is not None
    return found


@given(JSON)
def test_reformatting_json_keeps_its_canonical_bytes(value: Any) -> None:
    assert canonical(json.loads(json.dumps(value, indent=3))) == canonical(value)


@given(st.lists(st.tuples(st.text(max_size=4), st.binary(max_size=4)), max_size=4, unique_by=lambda pair: pair[0]))
def test_fields_cannot_run_into_each_other(pairs: list[tuple[str, bytes]]) -> None:
    documents = dict(pairs)
    seen = {dataset_version_hash(documents, [])}
    for name, content in pairs:
        if content:
            moved = {**documents, name: content[:-1], name + "x": content[-1:]}
            seen.add(dataset_version_hash(moved, []))
    assert len(seen) == 1 + sum(bool(content) for _, content in pairs)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write(tmp_path / "ds", document())


def rewrite(root: Path, value: Any, **options: Any) -> None:
    (root / "annotations_detection.json").write_text(json.dumps(value, **options))


def test_another_spelling_place_or_split_keeps_the_version(dataset: Path, tmp_path: Path) -> None:
    before, value = version(dataset), document()
    rewrite(dataset, value, indent=4, sort_keys=True)
    assert version(dataset) == before
    value["annotations"][0]["bbox"][1] = 5.0
    rewrite(dataset, value)
    assert version(dataset) == before
    rewrite(dataset, {**value, "split_config": {"ratio": [0.5, 0.5]}})
    assert version(dataset) == before
    (dataset / "images/unused.png").write_bytes(b"not named by any document")
    dataset.rename(tmp_path / "moved")
    assert version(tmp_path / "moved") == before


SPELLINGS = [
    '{"images": [], "categories": [{"id": 1, "name": "a"}], "annotations": [{"id": 1, "bbox": [1, 2.5, 100, 0.1]}]}',
    '{"annotations":[{"bbox":[1.0,2.50,1e2,0.10],"id":1.0}],"categories":[{"name":"\\u0061","id":1}],"images":[]}',
    '{"images":\n[ ],\t"annotations":[ {"id":1 ,"bbox":[1e0,25e-1,1E+2,1e-1]}] ,"categories":[{"id":1,"name":"a"}]}\n',
    '\ufeff{"images": [], "split_config": {}, "categories": [{"id": 1, "name": "a"}],'
    ' "annotations": [{"id": 1, "bbox": [1, 2.5, 100, 0.1]}]}',
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_of_a_document_has_one_version(tmp_path: Path, text: str) -> None:
    (tmp_path / "annotations.json").write_text(text, encoding="utf-8")
    contents = read(tmp_path, task="object_detection").contents
    expected = document_content(json.loads(SPELLINGS[0]))
    assert dataset_version_hash(contents, []) == dataset_version_hash({"annotations.json": expected}, [])
    assert manifest(contents, []) == manifest({"annotations.json": expected}, [])


def test_versions_stay_what_they_were() -> None:
    found = dataset_version_hash(
        {"annotations_detection.json": document_content(document())}, [("images/a.png", 5, "00")]
    )
    assert found == "dsv1:b0dfc4ba9a9d5b325bff9d9fa477cd4c22208a7ad0c40780be4e28d378b099e7"


def test_saving_again_is_no_new_version_and_moving_a_box_is_one(tmp_path: Path) -> None:
    image = {
        "id": 1,
        "file_name": "a.png",
        "width": 9,
        "height": 9,
        "annotations": [{"id": 1, "class_id": 0, "bbox": [1, 2, 3, 4]}],
    }
    value = {"format_version": "1.0", "classes": [{"id": 0, "name": "a"}], "images": [image]}

    def version_of(**more: Any) -> str:
        (tmp_path / "annotations.json").write_text(json.dumps({**value, **more}))
        return dataset_version_hash(read(tmp_path).contents, [])

    first = version_of(version=1, last_modified_at="2025-11-04", content_hash="x", statistics={"total_images": 1})
    assert version_of(version=2, last_modified_at="2025-11-05", content_hash="y") == first
    image["annotations"][0]["bbox"][0] = 2
    assert version_of(version=1) != first


def test_line_ends_of_text_files_are_no_content() -> None:
    assert (
        text_content(b"\xef\xbb\xbf0 1 1\r\n1 2 2\r\n")
        == text_content(b"0 1 1\n1 2 2")
        == text_content(b"0 1 1\r1 2 2\r")
    )
    assert text_content(b"0 1 1\n1 2 2") != text_content(b"0 1 1\n1 2 3")


def test_a_label_or_a_pixel_changes_the_version(dataset: Path) -> None:
    seen, value = [version(dataset)], document()
    value["annotations"][0]["bbox"][0] += 0.5
    rewrite(dataset, value)
    seen.append(version(dataset))
    picture(dataset / "images/line/001.png", seed=999)
    seen.append(version(dataset))
    (dataset / "annotations_pose.json").write_text('{"images": [], "categories": [], "annotations": []}')
    seen.append(version(dataset))
    assert len(set(seen)) == 4


def test_a_missing_image_changes_the_version(dataset: Path) -> None:
    before = version(dataset)
    (dataset / "images/line/001.png").unlink()
    assert version(dataset) != before


def test_what_changed_is_told_by_name() -> None:
    before = manifest({"a.json": b"1"}, [(f"images/{n}.png", 1, f"{n}" * 20) for n in range(9)])
    after = manifest({"a.json": b"2"}, [(f"images/{n}.png", 1, f"{n + 1}" * 20) for n in range(1, 9)])
    assert what_changed(before, after) == [
        "1 document changed: a.json",
        "1 image removed: images/0.png",
        "8 images changed: images/1.png, images/2.png, images/3.png, images/4.png, images/5.png, …",
    ]
    assert what_changed(before, before) == []


def test_a_snapshot_id_depends_on_every_fact() -> None:
    facts = {"split": {"train": [1], "val": [2]}, "classes": [], "counts": {}, "dataset_version_hash": "dsv1:0"}
    ids = {snapshot_id(facts), *(snapshot_id({**facts, key: "other"}) for key in facts)}
    assert len(ids) == 5
    assert all(len(id_) == 17 and id_.startswith("snap_") for id_ in ids)
