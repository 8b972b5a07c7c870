"""A repaired copy is sound, says what was done, and leaves the original as it was."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from steps.convert.check.fix import repaired, write_repaired
from steps.convert.check.inspection import inspect
from steps.convert.check.repair import Repair
from steps.convert.problems import errors
from tests.steps.convert.making import SIZE, document, picture, write

FIXED = dict[str, int]


def mend(root: Path, out: Path, *, task: str = "object_detection") -> tuple[Repair, FIXED]:
    """Repairs a dataset into `out`; gives the account and how often each kind of repair was made."""
    found = inspect(root, task=task, everything=True)
    repair, files = repaired(found)
    write_repaired(repair, files, folder=out, final=out, progress=None)
    counts: FIXED = {}
    for fix in repair.fixes:
        counts[fix.code] = counts.get(fix.code, 0) + fix.count
    return repair, counts


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def flawed(root: Path) -> Path:
    value = document(24)
    boxes = {
        0: [60, 40, 20, 20], 1: [30, 5, 0, 10], 2: [math.nan, 1, 2, 3], 3: [900, 900, 5, 5], 4: [1, 2, 3],
        5: [-0.5, 4, 9, 9], 6: None,
    }  # fmt: skip
    for at, box in boxes.items():
        value["annotations"][at]["bbox"] = box
    value["annotations"][7]["id"] = 7
    value["annotations"][8]["image_id"] = 500
    twin = value["annotations"][10]
    value["annotations"] += [{**twin, "id": 100}, {**twin, "id": 101, "bbox": [4.5, 5.5, 20, 10.25]}]
    value["images"][11]["width"] = 99
    value["images"][12] |= {"width": 0, "height": None}
    root = write(root, {**value, "images": [{**image, "width": 64, "height": 48} for image in value["images"]]})
    (root / "images/line/015.png").unlink()
    (root / "images/line/016.png").write_bytes(b"")
    cut = root / "images/line/017.png"
    cut.write_bytes(cut.read_bytes()[:-500])
    (root / "annotations_detection.json").write_text(json.dumps(value))
    return root


def test_everything_is_repaired_and_told(tmp_path: Path) -> None:
    root = flawed(tmp_path / "ds")
    before = contents(root)
    repair, counts = mend(root, tmp_path / "out")
    assert counts == {
        "annotation_duplicate": 1, "annotation_repeated": 1, "box_empty": 1, "box_malformed": 1, "box_missing": 1,
        "box_not_finite": 1, "box_outside": 2, "box_repeated": 1, "image_dangling": 1, "image_missing": 1,
        "image_size": 2, "image_truncated": 1, "image_unreadable": 1, "size_mismatch": 1,
    }  # fmt: skip
    assert repair.left == []
    assert all(fix.examples for fix in repair.fixes)
    checked = inspect(tmp_path / "out", task="object_detection", everything=True)
    assert [problem.line() for problem in errors(checked.problems)] == []
    assert checked.dataset is not None
    assert len(set(checked.dataset.annotation_ids.tolist())) == len(checked.dataset.annotation_ids)
    assert contents(root) == before
    assert mend(tmp_path / "out", tmp_path / "again")[1] == {}


def test_what_only_a_person_knows_is_left_and_named(tmp_path: Path) -> None:
    value = document(8)
    value["annotations"][0]["category_id"] = 99
    value["images"][1] |= {"width": 128, "height": 96}
    root = write(tmp_path / "ds", value)
    picture(root / "images/line/002.png", size=SIZE)
    repair, counts = mend(root, tmp_path / "out")
    assert {problem.code for problem in repair.left} == {"category_unknown", "size_mismatch"}
    assert counts == {}
    assert inspect(tmp_path / "out", task="object_detection").sound


def test_labels_of_an_image_that_was_scaled_are_scaled(tmp_path: Path) -> None:
    value = document(8)
    value["images"][1] |= {"width": 128, "height": 96}
    value["annotations"][1]["bbox"] = [80, 60, 20, 20]
    root = write(tmp_path / "ds", value)
    picture(root / "images/line/002.png", size=SIZE)
    _, counts = mend(root, tmp_path / "out")
    made = inspect(tmp_path / "out", task="object_detection").dataset
    assert counts == {"size_mismatch": 1}
    assert made is not None
    assert made.boxes[1].tolist() == [40, 30, 10, 10]


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_image_annotated_as_it_is_stored_loses_its_turn_and_no_pixel(tmp_path: Path, order: str) -> None:
    value = document(4)
    root = write(tmp_path / "ds", value)
    tags = Image.Exif()
    tags.endian = order
    tags[0x0112] = 6
    Image.new("RGB", SIZE, "red").save(root / "images/line/001.jpg", exif=tags.tobytes())
    value["images"][0]["file_name"] = "line/001.jpg"
    (root / "annotations_detection.json").write_text(json.dumps(value))
    before = contents(root)
    _, counts = mend(root, tmp_path / "out")
    assert counts == {"image_turned": 1}
    checked = inspect(tmp_path / "out", task="object_detection")
    assert not [p for p in checked.problems if p.code == "image_turned"]
    old, new = (Image.open(at / "images/line/001.jpg") for at in (root, tmp_path / "out"))
    assert (old.getexif()[0x0112], new.getexif()[0x0112]) == (6, 1)
    assert np.array_equal(np.asarray(old), np.asarray(new))
    assert contents(root) == before


def test_outlines_and_keypoints_are_repaired(tmp_path: Path) -> None:
    value = document(6)
    square = [4, 4, 24, 4, 24, 24, 4, 24]
    for category in value["categories"][1:]:
        category["keypoints"] = ["a", "b"]
    for annotation in value["annotations"]:
        annotation |= {"segmentation": [square], "bbox": [4, 4, 20, 20], "keypoints": [5, 5, 2, 9, 9, 1]}
    value["annotations"][0]["segmentation"] = [square, [1, 1, 2, 2]]
    value["annotations"][1]["segmentation"] = [[1, 1, 2, 2]]
    value["annotations"][2]["segmentation"] = [[40, 40, 90, 40, 90, 90, 40, 90]]
    value["annotations"][3]["keypoints"] = [500, 5, 2, 9, 9, 7]
    value["annotations"][4].pop("bbox")
    root = write(tmp_path / "ds", value, name="annotations_segmentation.json")
    _, counts = mend(root, tmp_path / "out", task="instance_segmentation")
    assert counts["polygon_short"] == 2
    assert (counts["outline_missing"], counts["polygon_outside"], counts["box_missing"]) == (1, 1, 1)
    made = inspect(tmp_path / "out", task="instance_segmentation", everything=True)
    assert made.sound
    assert made.dataset is not None
    assert made.dataset.boxes[-1].tolist() == [4, 4, 20, 20]
    (root / "annotations_segmentation.json").rename(root / "annotations_pose.json")
    _, counts = mend(root, tmp_path / "pose", task="pose_estimation")
    assert (counts["keypoint_outside"], counts["keypoint_visibility"]) == (1, 1)
    assert inspect(tmp_path / "pose", task="pose_estimation").sound


NUMBER = st.one_of(st.floats(-200, 200), st.sampled_from([math.nan, math.inf, 0, -1, 64, 48]))
ITEM = st.fixed_dictionaries(
    {
        "id": st.integers(1, 6),
        "image_id": st.integers(0, 5),
        "category_id": st.sampled_from([0, 1, 4, 4, 1]),
        "bbox": st.one_of(st.none(), st.lists(NUMBER, min_size=4, max_size=4)),
        "segmentation": st.lists(st.lists(NUMBER, min_size=2, max_size=10), max_size=2),
        "iscrowd": st.sampled_from([0, 0, 0, 1]),
    }
)


@given(st.lists(ITEM, max_size=12), st.sampled_from(["object_detection", "instance_segmentation"]))
@settings(max_examples=15, deadline=None)
def test_whatever_the_labels_are_the_copy_is_sound(
    tmp_path_factory: pytest.TempPathFactory, items: list[dict[str, Any]], task: str
) -> None:
    folder = tmp_path_factory.mktemp("soup")
    value = document(5)
    good = {"category_id": 1, "bbox": [4, 4, 20, 20], "segmentation": [[4, 4, 24, 4, 24, 24]]}
    value["annotations"] = [{**good, "id": 90 + n, "image_id": n} for n in range(1, 6)] + items
    root = write(folder / "ds", value, name="annotations.json")
    repair, _ = mend(root, folder / "out", task=task)
    checked = inspect(folder / "out", task=task, everything=True)
    assert [problem.line() for problem in errors(checked.problems)] == []
    assert not repair.left
