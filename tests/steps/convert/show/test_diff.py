"""How two datasets differ is told by content, whatever their ids, names and layouts are."""

import copy
from pathlib import Path
from typing import Any

import pytest

from steps.convert.check.inspection import inspect
from steps.convert.show.diff import diff
from tests.steps.convert.making import document, picture, write


def compared(folder: Path, before: dict[str, Any], after: dict[str, Any], **changed: Any) -> dict[str, Any]:
    roots = [write(folder / name, value) for name, value in (("a", before), ("b", after))]
    for name, seed in changed.items():
        picture(roots[1] / f"images/line/{name[1:]}.png", seed=seed)
    a, b = (inspect(root, task="object_detection", everything=True) for root in roots)
    return diff(a, b)


@pytest.fixture
def pair() -> tuple[dict[str, Any], dict[str, Any]]:
    value = document(12, classes=3)
    return value, copy.deepcopy(value)


def test_the_same_is_the_same_whatever_its_form(tmp_path: Path, pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, after = pair
    assert compared(tmp_path, before, after)["told"] == ["the datasets are the same"]
    for annotation in after["annotations"]:
        annotation["id"] += 500
        annotation["bbox"] = [number + 0.0004 for number in annotation["bbox"]]
    after["annotations"].reverse()
    made = compared(tmp_path / "other", before, after)
    assert made["same"]
    assert made["told"] == ["images, classes and labels are the same; only their form differs"]


def test_every_difference_is_told_in_a_sentence(tmp_path: Path, pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    before, after = pair
    after["annotations"][0]["category_id"] = 7
    after["annotations"][1]["bbox"] = [6, 7, 20, 10]
    after["annotations"][2]["bbox"] = [40, 30, 10, 10]
    del after["annotations"][3]
    after["annotations"].append({"id": 99, "image_id": 12, "category_id": 1, "bbox": [1, 1, 9, 9]})
    after["images"][6]["file_name"] = "line/moved.png"
    after["images"][7] |= {"id": 50, "file_name": "line/new.png"}
    after["annotations"] = [a for a in after["annotations"] if a["image_id"] != 8]
    after["categories"].append({"id": 2, "name": "washer"})
    made = compared(tmp_path, before, after, _009=77)
    images = made["images"]
    assert not made["same"]
    assert made["classes"]["added"] == ["washer"]
    assert [move["name"] for move in made["classes"]["moved"]] == ["class1", "class2"]
    assert {kind: images[kind]["count"] for kind in ("added", "removed", "changed", "renamed")} == {
        "added": 1, "removed": 1, "changed": 1, "renamed": 1,
    }  # fmt: skip
    assert images["renamed"]["first"] == [{"from": "line/007.png", "to": "line/moved.png"}]
    assert images["relabeled"]["count"] == 5
    assert images["relabeled"]["annotations"] == {
        "added": 2, "removed": 2, "class_changed": 1, "shape_changed": 1,
    }  # fmt: skip
    assert images["relabeled"]["classes"] == [{"from": "class1", "to": "class2", "count": 1}]
    assert made["told"] == [
        "1 class added: washer",
        "2 classes have another index: class1 1 → 2, class2 2 → 3",
        "1 image added: line/new.png",
        "1 image removed: line/008.png",
        "1 image with other pixels: line/009.png",
        "1 image renamed: line/007.png → line/moved.png",
        "5 images labeled otherwise (2 added, 2 removed, 1 of another class, 1 moved): line/001.png, line/002.png, "
        "line/003.png, line/004.png, line/012.png",
        "1 annotation 'class1' → 'class2'",
    ]
