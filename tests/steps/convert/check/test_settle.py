"""A number that is none is refused where the task trains on it, and left out with a warning where it does not."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest

from steps.convert.check.inspection import inspect
from steps.convert.commands.run import run
from steps.convert.problems import errors
from tests.steps.convert.making import document, write

BAD = (math.nan, math.inf)
# By task, what is trained on; everything else may be left out.
TRAINED = {
    "object_detection": {"bbox"},
    "instance_segmentation": {"bbox", "segmentation"},
    "semantic_segmentation": {"segmentation"},
    "panoptic_segmentation": {"segmentation"},
    "pose_estimation": {"bbox", "keypoints"},
}
SHAPES: dict[str, list[Any]] = {
    "area": [*BAD],
    "bbox": [[bad, 1, 2, 3] for bad in BAD],
    "segmentation": [[[5, 5, 20, 5, 20, bad]] for bad in BAD],
    "keypoints": [[5, 5, 2, bad, 9, 2] for bad in BAD],
}


def dataset(root: Path, kind: str, key: str, bad: Any) -> Path:
    """Writes a dataset of objects, crowds and background; the first of `kind` has a number that is none."""
    value = document(4)
    value["categories"] = [
        {**each, "keypoints": ["head", "tail"]} if each["id"] else each for each in value["categories"]
    ]
    # Every image has objects of all classes, and one each of what is no object.
    value["annotations"] = [
        {
            "id": 10 * image + at,
            "image_id": image,
            "category_id": category,
            "bbox": [5, 5 + at, 20, 10],
            "area": 200,
            "iscrowd": int(at == 2),
            "segmentation": [[5, 5 + at, 25, 5 + at, 25, 15 + at]],
            "keypoints": [5, 5 + at, 2, 25, 15 + at, 1],
            "num_keypoints": 2,
        }
        for image in range(1, 5)
        for at, category in enumerate([1, 4, 1, 0])
    ]
    rows = {"object": 0, "crowd": 2, "background": 3}
    value["annotations"][rows[kind]][key] = bad
    return write(root, value, name="annotations.json")


@pytest.mark.parametrize("kind", ["object", "crowd", "background"])
@pytest.mark.parametrize("task", sorted(TRAINED))
def test_every_command_meets_numbers_only(
    task: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*words: object) -> tuple[int, dict[str, Any]]:
        code = run([str(word) for word in words])
        streams = capsys.readouterr()
        assert not streams.err
        return code, json.loads(streams.out)

    for number, (key, bad) in enumerate((key, bad) for key, every in SHAPES.items() for bad in every):
        folder = tmp_path / str(number)
        root = dataset(folder / "dataset", kind, key, bad)
        refused = kind == "object" and key in TRAINED[task]
        code, report = told("check", root, "--task", task)
        codes = {problem["code"] for problem in report["errors"]}
        names = {"bbox": "box_not_finite", "segmentation": "polygon_not_finite", "keypoints": "keypoint_not_finite"}
        assert codes == ({names[key]} if refused else set()), (key, bad)
        for target in ("coco", "dice", "yolo", "masks"):
            _, report = told("check", root, "--task", task, "--target", target)
            able = not report["errors"]
            code, report = told("convert", root, folder / target, "--to", target, "--task", task)
            assert (code == 0) == able, (key, bad, target)
            if able:
                left = {kind for kind in report["proof"]["changed"] if kind.endswith("_left_out")}
                assert report["proof"]["lossless"] is False or not left
        _, report = told("fix", root, folder / "fixed", "--task", task)
        if (folder / "fixed").exists():
            code, report = told("check", folder / "fixed", "--task", task)
            assert not report["errors"], (key, bad)
            assert "number_not_finite" not in {problem["code"] for problem in report["warnings"]}


@pytest.mark.parametrize(("kind", "bad"), [*itertools.product(["object", "crowd"], BAD)])
def test_an_area_that_is_no_number_is_measured(tmp_path: Path, kind: str, bad: float) -> None:
    root = dataset(tmp_path / "dataset", kind, "area", bad)
    found = inspect(root, task="instance_segmentation")
    warnings = [problem for problem in found.problems if problem.code == "number_not_finite"]
    assert [problem.message for problem in warnings] == [
        "the area is NaN, infinity or beyond any image: it is taken as not given"
    ]
    assert found.changed["areas_left_out"]["count"] == 1
    assert run(["convert", str(root), str(tmp_path / "coco"), "--to", "coco", "--task", "instance_segmentation"]) == 0
    written = [
        one
        for path in (tmp_path / "coco/annotations").glob("*.json")
        for one in json.loads(path.read_bytes())["annotations"]
    ]
    assert {one["area"] for one in written} == {200, 100}  # the triangle of the one that was measured
    assert sum(one["area"] == 100 for one in written) == 1


def test_what_is_sound_is_the_same_dataset(tmp_path: Path) -> None:
    root = dataset(tmp_path / "dataset", "object", "area", 200)
    found = inspect(root, task="instance_segmentation", everything=True)
    assert not errors(found.problems)
    assert not found.changed
