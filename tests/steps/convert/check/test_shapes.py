"""Outlines, masks, keypoints and labels of every task are held against their images, and each flaw has its name."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steps.convert.check.boxes import judge_boxes
from steps.convert.check.grouping import grouped
from steps.convert.check.inspection import Inspection, inspect
from steps.convert.check.outlines import ring_areas
from steps.convert.check.repeats import overlapping
from steps.convert.dataset import Dataset, index_categories
from steps.convert.problems import errors
from tests.steps.convert.making import SIZE, document, write

SQUARE = [4, 4, 24, 4, 24, 24, 4, 24]
PIXELS = SIZE[0] * SIZE[1]


def posed(points: list[float]) -> dict[str, Any]:
    return {"keypoints": points, "num_keypoints": 2}


def look(root: Path, task: str, *, count: int = 4, **fields: Any) -> Inspection:
    """Inspects a sound dataset of a task in which the first annotation has other fields."""
    value = document(count)
    for category in value["categories"][1:]:
        category |= {"keypoints": ["left", "right"], "skeleton": [[1, 2]]}
    for annotation in value["annotations"]:
        annotation |= {"segmentation": [list(SQUARE)], "bbox": [4, 4, 20, 20], **posed([5, 5, 2, 9, 9, 1])}
    if task == "image_classification":
        for annotation in value["annotations"]:
            del annotation["bbox"]
    value["annotations"][0] |= fields
    word = {
        "instance_segmentation": "segmentation",
        "pose_estimation": "pose",
        "image_classification": "classification",
    }
    return inspect(write(root, value, name=f"annotations_{word[task]}.json"), task=task, everything=True)


SEGMENT, POSE = "instance_segmentation", "pose_estimation"
FLAWS: list[tuple[str, str, dict[str, Any], str]] = [
    ("two points", SEGMENT, {"segmentation": [[4, 4, 24, 4]]}, "polygon_short"),
    ("one bad ring of two", SEGMENT, {"segmentation": [SQUARE, [1, 1, 2, 2]]}, "polygon_short"),
    ("outside", SEGMENT, {"segmentation": [[4, 4, 99, 4, 24, 24]]}, "polygon_outside"),
    ("left of it", SEGMENT, {"segmentation": [[-4, 4, 9, 4, 24, 24]]}, "polygon_outside"),
    ("not a number", SEGMENT, {"segmentation": [[4, 4, math.nan, 4, 24, 24]]}, "polygon_not_finite"),
    ("endless", SEGMENT, {"segmentation": [[4, 4, math.inf, 4, 24, 24]]}, "polygon_not_finite"),
    ("a line", SEGMENT, {"segmentation": [[4, 4, 9, 9, 14, 14]]}, "polygon_flat"),
    ("no outline", SEGMENT, {"segmentation": []}, "outline_missing"),
    ("mask of another size", SEGMENT, {"segmentation": {"size": [8, 8], "counts": [9, 9, 46]}}, "mask_size"),
    ("mask too short", SEGMENT, {"segmentation": {"size": [SIZE[1], SIZE[0]], "counts": [9, 9]}}, "mask_broken"),
    ("mask of nothing", SEGMENT, {"segmentation": {"size": [SIZE[1], SIZE[0]], "counts": [PIXELS]}}, "mask_empty"),
    ("visibility 3", POSE, posed([5, 5, 3, 9, 9, 1]), "keypoint_visibility"),
    ("point outside", POSE, posed([5, 5, 2, 99, 9, 1]), "keypoint_outside"),
    ("point not a number", POSE, posed([5, math.nan, 2, 9, 9, 1]), "keypoint_not_finite"),
    ("too few points", POSE, posed([5, 5, 2]), "keypoints_count"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "fields", "code"), [row[1:] for row in FLAWS], ids=[row[0] for row in FLAWS])
def test_a_flaw_has_a_name_and_a_place(tmp_path: Path, task: str, fields: dict[str, Any], code: str) -> None:
    found = errors(look(tmp_path, task, **fields).problems)
    assert [(p.code, p.image_id, p.annotation_id) for p in found] == [(code, 1, 1)]
    assert found[0].cure


@pytest.mark.parametrize("task", [SEGMENT, POSE, "image_classification"])
def test_sound_shapes_are_sound(tmp_path: Path, task: str) -> None:
    found = look(tmp_path, task)
    assert [problem.line() for problem in found.problems if not problem.code.startswith("class_")] == []


def test_what_sticks_out_by_a_pixel_is_clipped_and_no_flaw(tmp_path: Path) -> None:
    found = look(tmp_path, SEGMENT, segmentation=[[-0.5, 4, 24, 4, 24, 48.75]], bbox=[0, 4, 24, 44])
    assert found.sound
    assert found.dataset is not None
    assert found.dataset.outlines is not None
    assert found.dataset.outlines.points[:3].tolist() == [[0, 4], [24, 4], [24, 48]]
    found = look(tmp_path / "pose", POSE, **posed([64.5, 5, 2, 9, -0.25, 1]))
    assert found.sound
    assert found.dataset is not None
    assert found.dataset.keypoints is not None
    assert found.dataset.keypoints[0].tolist() == [[64, 5, 2], [9, 0, 1]]


def test_shapes_that_the_task_does_not_train_are_warned_of(tmp_path: Path) -> None:
    value = document(4)
    value["annotations"][0]["segmentation"] = [[4, 4, 99, 4, 24, 24]]
    found = inspect(write(tmp_path, value), task="object_detection", everything=True)
    assert [(p.code, p.level) for p in found.problems if not p.code.startswith("class_")] == [
        ("polygon_outside", "warning")
    ]


def test_an_image_of_two_classes_cannot_be_classified(tmp_path: Path) -> None:
    value = document(4)
    value["annotations"].append({"id": 90, "image_id": 1, "category_id": 1})
    value["annotations"].append({"id": 91, "image_id": 2, "category_id": value["annotations"][1]["category_id"]})
    for annotation in value["annotations"]:
        annotation.pop("bbox", None)
    root = write(tmp_path, value, name="annotations_classification.json")
    found = {(p.code, p.level, p.image_id) for p in inspect(root, task="image_classification").problems}
    assert ("label_conflict", "error", 1) in found
    assert ("annotation_repeated", "warning", 2) in found


def test_a_box_that_is_drawn_twice_is_told_once(tmp_path: Path) -> None:
    value = document(4)
    box = value["annotations"][0]
    box["bbox"] = [4, 4, 30, 30]
    value["annotations"] += [
        {**box, "id": 70},
        {**box, "id": 71, "bbox": [5, 4, 30, 30]},
        {**box, "id": 72, "bbox": [5, 4, 30, 30], "category_id": 1},
        {**box, "id": 73, "bbox": [20, 4, 30, 30]},
    ]
    found = inspect(write(tmp_path, value), task="object_detection").problems
    told = [(p.code, p.annotation_id) for p in found if p.code in {"annotation_repeated", "box_repeated"}]
    assert sorted(told) == [("annotation_repeated", 70), ("box_repeated", 71)]


def test_boxes_on_one_another_are_found_as_by_comparing_all() -> None:
    numbers = np.random.default_rng(8)
    count = 400
    low, size = numbers.uniform(0, 60, (count, 2)), numbers.uniform(1, 40, (count, 2))
    boxes = np.concatenate([low, size], axis=1)
    boxes[200:] = boxes[:200] + numbers.normal(0, 0.7, (200, 4)).clip(-0.9, 0.9)
    dataset = _boxes(boxes, images=numbers.integers(0, 3, count), classes=numbers.integers(0, 2, count))
    first, second, shares = overlapping(dataset, boxes, np.ones(count, dtype=bool))
    wanted = {
        (a, b)
        for a in range(count)
        for b in range(a + 1, count)
        if dataset.annotation_image[a] == dataset.annotation_image[b]
        and dataset.annotation_class[a] == dataset.annotation_class[b]
        and _share(boxes[a], boxes[b]) >= 0.8
    }
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == wanted
    assert len(wanted) > 10
    assert (shares >= 0.8).all()


def test_a_box_of_another_class_s_size_is_told(tmp_path: Path) -> None:
    numbers = np.random.default_rng(2)
    boxes = np.concatenate([np.full((60, 2), 3.0), numbers.uniform(18, 22, (60, 2))], axis=1)
    boxes[30:, 2:] /= 4
    boxes[7, 2:] = 5
    dataset = _boxes(boxes, images=np.arange(60), classes=np.repeat([0, 1], 30))
    assert judge_boxes(dataset).good.all()
    value = document(61)
    for at, annotation in enumerate(value["annotations"]):
        annotation |= {"bbox": boxes[at].tolist(), "category_id": 1 if at < 30 else 4}
    found = inspect(write(tmp_path, value), task="object_detection").problems
    assert [(p.code, p.annotation_id) for p in found if p.code == "box_size_odd"] == [("box_size_odd", 8)]


def test_areas_are_those_of_the_shoelace() -> None:
    far = 1e6
    rings = [
        [0, 0, 4, 0, 4, 3],
        [far, far, far + 2, far, far + 2, far + 2, far, far + 2],
        [],
        [1, 1],
        [0, 0, 1, 1, 2, 2],
    ]
    points = np.array([n for ring in rings for n in ring]).reshape(-1, 2)
    starts = np.cumsum([0, *(len(ring) // 2 for ring in rings)])
    assert ring_areas(points, starts).tolist() == [6, 4, 0, 0, 0]


def test_ten_thousand_equal_findings_are_one_line_for_a_person(tmp_path: Path) -> None:
    value = document(30)
    value["annotations"] = [
        {"id": n, "image_id": 1 + n % 29, "category_id": 1, "bbox": [60, 40, 30, 30 + n]} for n in range(1, 3001)
    ]
    found = inspect(write(tmp_path, value), task="object_detection")
    groups = grouped(found.problems)
    assert (groups[0].code, groups[0].count, len(groups[0].first)) == ("box_outside", 3000, 5)
    assert groups[0].line().startswith("[box_outside] (3000×, the first) annotations_detection.json, image 2")
    assert len(found.report()["errors"]) == 3000


def _boxes(boxes: np.ndarray, *, images: np.ndarray, classes: np.ndarray) -> Dataset:
    count = int(images.max()) + 1
    return Dataset(
        layout="D1",
        document="d.json",
        task="object_detection",
        categories=index_categories([(0, "a"), (1, "b")]),
        image_ids=np.arange(count),
        image_names=[f"{n}.png" for n in range(count)],
        image_sizes=np.full((count, 2), 200),
        image_labeled=np.ones(count, dtype=bool),
        annotation_ids=np.arange(len(boxes)),
        annotation_image=images,
        annotation_class=classes,
        annotation_crowd=np.zeros(len(boxes), dtype=bool),
        boxes=boxes,
    )


def _share(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    inside = float(np.clip(high - low, 0, None).prod())
    return inside / float(a[2:].prod() + b[2:].prod() - inside)
