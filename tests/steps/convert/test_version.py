"""The version hash names content: another spelling keeps it, another label or pixel changes it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.convert.inspection import inspect
from steps.convert.version import canonical, dataset_version_hash, manifest, snapshot_id, what_changed
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
