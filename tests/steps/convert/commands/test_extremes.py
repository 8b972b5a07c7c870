"""Numbers and sizes that no picture has: drawn, converted and repaired in no time, or refused by name."""

import json
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from steps.convert.check.inspection import inspect
from steps.convert.commands.run import run
from steps.convert.problems import errors
from tests.steps.convert.making import document, write

POSE = "pose_estimation"
BOXES = "object_detection"
OUTLINES = "instance_segmentation"


class Told:
    """Runs commands and gives what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: object) -> tuple[int, dict[str, Any]]:
        code = run([str(word) for word in words])
        streams = self.capsys.readouterr()
        assert not streams.err, streams.err
        return code, json.loads(streams.out)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(capsys)


def dataset(root: Path, at: int = 1, *, count: int = 6, **fields: Any) -> Path:
    """Writes a dataset with keypoints and outlines, one of whose annotations has other fields."""
    value = document(count)
    for category in value["categories"][1:]:
        category["keypoints"] = ["head", "tail"]
    for one in value["annotations"]:
        one |= {"segmentation": [[5, 5, 25, 5, 25, 15]], "keypoints": [5, 5, 2, 25, 15, 1], "num_keypoints": 2}
    value["annotations"][at] |= fields
    return write(root, value, name="annotations.json")


def again(told: Told, root: Path, target: str, task: str) -> None:
    """Converts, and checks what was written."""
    out = root.with_name(target)
    code, report = told("convert", root, out, "--to", target, "--task", task)
    assert code == 0, report
    code, report = told("check", out, "--task", task)
    assert code == 0, report["errors"]


@pytest.mark.parametrize(
    "fields",
    [
        {"segmentation": {"size": [1_000_000, 1_000_000], "counts": [5, 100]}},
        {"segmentation": {"size": [40_000, 40_000], "counts": [5, 100]}},
        {"bbox": [5, 5, 20, 1e9], "segmentation": []},
        {"bbox": [-1e30, 5, 1e30, 1e30], "segmentation": []},
        {"segmentation": [[5, 5, 1e12, 5, 25, 1e12]]},
        {"keypoints": [1e9, 1e9, 2, -1e9, 4, 2]},
    ],
)
@pytest.mark.parametrize("crowd", [0, 1])
def test_nothing_far_outside_takes_time_or_memory_to_be_drawn(
    tmp_path: Path, told: Told, fields: dict[str, Any], crowd: int
) -> None:
    root = dataset(tmp_path / "d", iscrowd=crowd, **fields)
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for task in (BOXES, OUTLINES, POSE):
        told("show", root, "--task", task, "--sheet", tmp_path / "sheet.png", "--page", tmp_path / "page.html")
    assert time.monotonic() - began < 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20  # KiB


@pytest.mark.parametrize("target", ["coco", "dice", "yolo"])
def test_minus_zero_is_zero(tmp_path: Path, told: Told, target: str) -> None:
    again(told, dataset(tmp_path / "d", keypoints=[-0.0, 5, 2, 5, -0.0, 1]), target, POSE)


@pytest.mark.parametrize("target", ["coco", "dice", "masks"])
def test_a_crowd_beyond_any_image_is_left_out(tmp_path: Path, told: Told, target: str) -> None:
    far = [[1e17, 5, 25, -1e17, 25, 15]]
    root = dataset(tmp_path / "d", iscrowd=1, bbox=[0, 0, 1e200, 1e200], segmentation=far, area=None)
    code, report = told("convert", root, tmp_path / "o", "--to", target, "--task", OUTLINES)
    assert code == 0
    assert {"boxes_left_out", "polygons_left_out"} <= set(report["proof"]["changed"])


@pytest.mark.parametrize("target", ["coco", "dice", "yolo", "fix"])
def test_a_number_of_thousands_of_digits_in_a_field_of_nobody(tmp_path: Path, told: Told, target: str) -> None:
    root = dataset(tmp_path / "d")
    path = root / "annotations.json"
    path.write_text(path.read_text().replace('"file_name"', f'"shot": {"9" * 5000}, "file_name"', 1))
    if target == "fix":
        told("fix", root, tmp_path / "o", "--task", BOXES)
    else:
        again(told, root, target, BOXES)


@pytest.mark.parametrize("ids", [(2**63 - 1, 2**63 - 1), (0, 2**63 - 1), (2**62, 5)])
def test_ids_at_the_end_of_all_numbers(tmp_path: Path, told: Told, ids: tuple[int, int]) -> None:
    root = dataset(tmp_path / "d", id=ids[0])
    value = json.loads((root / "annotations.json").read_text())
    value["annotations"][2]["id"] = ids[1]
    (root / "annotations.json").write_text(json.dumps(value))
    code, report = told("check", root, "--task", BOXES)
    assert code == 1
    assert {problem["code"] for problem in report["errors"]} <= {"annotation_id", "annotation_duplicate"}
    code, report = told("fix", root, tmp_path / "o", "--task", BOXES)
    assert code == 0
    code, report = told("check", tmp_path / "o", "--task", BOXES)
    assert code == 0, report["errors"]


def test_a_box_that_six_decimals_cannot_say_is_left_out(tmp_path: Path, told: Told) -> None:
    root = dataset(tmp_path / "d", bbox=[63.99999, 5, 1, 5])
    code, report = told("convert", root, tmp_path / "o", "--to", "yolo", "--task", BOXES)
    assert code == 0
    assert report["proof"]["left_out"]["too_thin"]["count"] == 1
    code, report = told("check", tmp_path / "o", "--task", BOXES)
    assert code == 0, report["errors"]


def test_an_outline_that_six_decimals_cannot_say_is_flat(tmp_path: Path) -> None:
    root = dataset(tmp_path / "d", segmentation=[[63.99999, 5, 64.5, 5, 64.5, 20, 63.99999, 20]])
    assert [problem.code for problem in errors(inspect(root, task=OUTLINES).problems)] == ["polygon_flat"]


def test_a_split_without_val_stays_one(tmp_path: Path, told: Told) -> None:
    root = dataset(tmp_path / "d")
    words = ("--split", json.dumps({"ratio": [1, 0]}))
    code, _ = told("convert", root, tmp_path / "o", "--to", "dice", "--task", BOXES, *words)
    assert code == 0
    code, report = told("check", tmp_path / "o", "--task", BOXES)
    assert code == 0, report["errors"]


def test_one_annotation_of_many_points_makes_no_other_wider(tmp_path: Path) -> None:
    root = dataset(tmp_path / "d", keypoints=[1, 2, 2] * 1000)
    for task in (POSE, BOXES):
        found = inspect(root, task=task, everything=True)
        assert found.dataset is not None
        assert found.dataset.keypoints is not None
        assert found.dataset.keypoints.shape[1:] == (2, 3)
        told = [problem for problem in found.problems if problem.code == "keypoints_count"]
        assert [problem.level for problem in told] == ["error" if task == POSE else "warning"]


def test_names_of_too_many_keypoints_are_refused(tmp_path: Path) -> None:
    value = document(4)
    value["categories"][1]["keypoints"] = [f"p{n}" for n in range(1200)]
    found = inspect(write(tmp_path, value), task=BOXES)
    assert [problem.code for problem in errors(found.problems)] == ["category_keypoints"]


def test_negative_runs_of_a_short_text_are_no_mask(tmp_path: Path) -> None:
    root = dataset(tmp_path / "d", category_id=0, segmentation={"size": [48, 64], "counts": "OOOOO0" * 50})
    assert [problem.code for problem in errors(inspect(root, task=OUTLINES).problems)] == ["mask_malformed"]
