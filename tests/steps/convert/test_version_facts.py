"""A version is of the content, all of it, and the same for whichever task one asks; whoever asks finds his ids."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from steps.convert.cache import conversion_key
from steps.convert.check.inspection import inspect
from steps.convert.problems import errors
from steps.convert.show.diff import diff
from tests.steps.convert.check.test_fix import mend
from tests.steps.convert.making import document, picture, write


def test_an_empty_class_folder_is_another_version(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for n in range(4):
            picture(tmp_path / name / f"{n}.png", seed=n + len(name) * 10 + ord(name[0]))
    before = inspect(tmp_path)
    (tmp_path / "ant").mkdir()
    after = inspect(tmp_path)
    assert before.version_hash != after.version_hash
    assert conversion_key(before, target="imagefolder") != conversion_key(after, target="imagefolder")


def test_the_names_of_keypoints_are_content(tmp_path: Path) -> None:
    hashes = set()
    for at, names in enumerate(("left_eye, right_eye", "eye, tail")):
        root = tmp_path / str(at)
        for n in range(4):
            picture(root / f"images/train/{n}.png", seed=n)
            label = root / f"labels/train/{n}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("0 .5 .5 .4 .4 .4 .4 2 .6 .6 2\n")
        text = f"train: images/train\nnames: [a]\nkpt_shape: [2, 3]\nkpt_names: {{0: [{names}]}}\n"
        (root / "data.yaml").write_text(text)
        hashes.add(inspect(root).version_hash)
    assert len(hashes) == 2


def coco(root: Path) -> Path:
    """Writes boxes and poses, the poses of fewer images, as COCO has them: pictures in folders of their part."""
    (root / "annotations").mkdir(parents=True)
    for part, ids in (("train", range(1, 7)), ("val", range(7, 11))):
        images = [{"id": n, "file_name": f"{n:03d}.png", "width": 64, "height": 48} for n in ids]
        for n in ids:
            picture(root / f"{part}2017/{n:03d}.png", seed=n)
        one: dict[str, Any] = {"category_id": 1, "bbox": [1, 1, 20, 20], "area": 400, "iscrowd": 0}
        boxes = [{**one, "id": n, "image_id": n} for n in ids]
        poses = [{**each, "keypoints": [3, 3, 2, 5, 5, 2], "num_keypoints": 2} for each in boxes[:-1]]
        person = {"id": 1, "name": "person"}
        value = {"categories": [person], "images": images, "annotations": boxes}
        (root / f"annotations/instances_{part}2017.json").write_text(json.dumps(value))
        person = {**person, "keypoints": ["left_eye", "right_eye"]}
        value = {"categories": [person], "images": images[:-1], "annotations": poses}
        (root / f"annotations/person_keypoints_{part}2017.json").write_text(json.dumps(value))
    return root


def exported(root: Path) -> Path:
    """Writes a labeler's export: boxes, and masks of the same images."""
    head = {"format_version": "1.0", "classes": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]}
    boxes, masks = [], []
    (root / "masks").mkdir(parents=True)
    for n in range(1, 9):
        picture(root / f"images/{n}.png", seed=n)
        Image.fromarray((np.indices((48, 64)).sum(0) // 9 % 2).astype("uint8")).save(root / f"masks/{n}.png")
        image = {"id": n, "file_name": f"{n}.png", "width": 64, "height": 48, "split": "train" if n < 6 else "val"}
        boxes.append({**image, "annotations": [{"id": n, "class_id": n % 2, "bbox": [1, 2, 10, 10]}]})
        masks.append({**image, "annotation": {"mask_file": f"masks/{n}.png", "mask_format": "indexed_png"}})
    for word, images in (("detection", boxes), ("semantic_segmentation", masks)):
        (root / f"annotations_{word}.json").write_text(json.dumps({**head, "images": images}))
    (root / "metadata.json").write_text("{}")
    return root


@pytest.mark.parametrize(
    ("make", "tasks"),
    [(coco, ("object_detection", "pose_estimation")), (exported, ("object_detection", "semantic_segmentation"))],
)
def test_every_task_names_the_same_version(tmp_path: Path, make: Any, tasks: tuple[str, str]) -> None:
    root = make(tmp_path / "ds")
    one, other = (inspect(root, task=task) for task in tasks)
    assert one.sound
    assert other.sound
    assert one.version_hash == other.version_hash
    assert one.manifest == other.manifest


@pytest.mark.parametrize("id_", [None, -4, "x"])
def test_an_annotation_without_an_id_is_told_and_kept(tmp_path: Path, id_: Any) -> None:
    value = document(10)
    value["annotations"][1]["id"] = id_
    root = write(tmp_path / "ds", value)
    found = inspect(root, task="object_detection")
    assert found.dataset is not None
    assert len(found.dataset.annotation_ids) == 9
    (told,) = errors(found.problems)
    assert (told.code, "is called 10 here" in told.message) == ("annotation_id", True)
    _, counts = mend(root, tmp_path / "out")
    assert counts == {"annotation_id": 1}
    fixed = inspect(tmp_path / "out", task="object_detection")
    assert fixed.dataset is not None
    assert fixed.dataset.annotation_ids.tolist() == [1, 10, 3, 4, 5, 6, 7, 8, 9]
    assert np.array_equal(fixed.dataset.boxes, found.dataset.boxes)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("yolo", "they are left out"),
        ("coco", "kept with iscrowd 1"),
        ("none", "masks: their pixels are painted as 255"),
    ],
)
def test_what_becomes_of_crowds_is_said_of_the_target(tmp_path: Path, target: str, words: str) -> None:
    value = document(10)
    value["annotations"][1]["iscrowd"] = 1
    found = inspect(write(tmp_path / "ds", value), task="object_detection", target=target)
    (told,) = (problem for problem in found.problems if problem.code == "crowd")
    assert words in told.message
    assert ("left out" in told.message) == (target in ("yolo", "none"))


def test_a_crowded_image_is_compared_in_no_time(tmp_path: Path) -> None:
    sides = []
    for seed in range(2):
        value = document(3)
        boxes = np.random.default_rng(seed).uniform(0, 40, (1500, 2)).round(2).tolist()
        value["annotations"] = [
            {"id": n, "image_id": 1, "category_id": 1, "bbox": [*box, 5, 5]} for n, box in enumerate(boxes, 1)
        ]
        sides.append(inspect(write(tmp_path / str(seed), value), task="object_detection", everything=True))
    sums = diff(*sides)["images"]["relabeled"]["annotations"]
    assert sums["added"] == sums["removed"]
    assert sums["shape_changed"] + sums["removed"] <= 1500
