"""The look through the converted dataset: what the framework would drop in silence is an error with a name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from steps.train.ultralytics import data
from steps.train.ultralytics.failure import Failure
from tests.steps.train.ultralytics.conftest import NAMES, TRAIN, VAL, draw_dataset


@pytest.fixture
def work(tmp_path: Path) -> Path:
    draw_dataset(tmp_path)
    return tmp_path


def load(work: Path) -> data.Dataset:
    return data.load(work, data_file=work / "run" / "data.yaml")


def test_a_whole_dataset_is_counted(work: Path) -> None:
    found = load(work)
    assert {split: len(paths) for split, paths in found.images.items()} == {"train": TRAIN, "val": VAL}
    assert found.boxes == {"train": 2 * TRAIN, "val": 2 * VAL}
    assert [entry["name"] for entry in found.classes] == list(NAMES)


def test_a_moved_workspace_is_read_where_it_is_now(work: Path) -> None:
    described = work / "converted" / "data.yaml"
    described.write_text(described.read_text().replace(str(work), "/somewhere/else"))
    written = yaml.safe_load(load(work).yaml_path.read_text())
    assert written["path"] == str(work / "converted")
    assert Path(written["val"]).is_dir()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2 0.5 0.5 0.1 0.1", "class 2, but the dataset has the classes 0 to 1"),
        ("0 0.5 0.5 0.1", "3 numbers after the class, a box has 4"),
        ("0 0.5 0.5 0.1 1.5", "box [0.5, 0.5, 0.1, 1.5] is outside 0 to 1"),
        ("0 0.5 nan 0.1 0.1", "is outside 0 to 1"),
        ("bolt 0.5 0.5 0.1 0.1", "is not 'class x y width height'"),
    ],
)
def test_a_bad_label_is_named_by_file_and_line(work: Path, line: str, said: str) -> None:
    label = work / "converted" / "labels" / "val" / "001.txt"
    label.write_text(f"1 0.5 0.5 0.1 0.1\n{line}\n")
    with pytest.raises(Failure) as caught:
        load(work)
    assert caught.value.error_type.value == "DATASET_ERROR"
    assert f"{label}:2: " in caught.value.message
    assert said in caught.value.message


def test_many_bad_labels_are_counted_not_listed(work: Path) -> None:
    label = work / "converted" / "labels" / "train" / "000.txt"
    label.write_text("9 0.5 0.5 0.1 0.1\n" * 33)
    with pytest.raises(Failure, match="and 13 more"):
        load(work)


def test_an_image_without_labels_is_a_negative(work: Path) -> None:
    (work / "converted" / "labels" / "train" / "000.txt").unlink()
    assert load(work).boxes["train"] == 2 * TRAIN - 2


def test_no_data_file_names_the_step_that_writes_it(work: Path) -> None:
    (work / "converted" / "data.yaml").unlink()
    with pytest.raises(Failure, match="run the convert step"):
        load(work)


def test_classes_that_contradict_the_snapshot_are_refused(work: Path) -> None:
    (work / "snapshot.json").write_text(json.dumps({"classes": [{"index": 0, "id": 1, "name": "bolt"}]}))
    with pytest.raises(Failure, match="bolt"):
        load(work)
