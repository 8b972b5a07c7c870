"""What is left out or changed is told by name, and a writer that errs is stopped before anybody trains on it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steps.convert.check.inspection import Inspection, inspect
from steps.convert.convert import convert
from steps.convert.write import coco, label_lines, masks, yolo
from steps.convert.write.proof import Account, ProofFailed
from steps.convert.write.selection import labels_of
from steps.convert.write.spot import spot_check
from steps.convert.write.target import write_target
from tests.steps.convert.making import document, write


def looked(root: Path, **options: Any) -> Inspection:
    found = inspect(root, task=options.pop("task", "object_detection"), **options)
    assert found.sound, [problem.line() for problem in found.problems]
    return found


def made(found: Inspection, folder: Path, target: str = "yolo") -> dict[str, Any]:
    assert found.dataset is not None
    assert found.split is not None
    return write_target(found.dataset, found.split, found.files, target=target, folder=folder, final=folder)


@pytest.fixture
def found(tmp_path: Path) -> Inspection:
    return looked(write(tmp_path / "ds", document(10)))


def test_all_that_does_not_become_a_label_is_told(tmp_path: Path) -> None:
    value = document(10)
    value["annotations"][1]["iscrowd"] = 1
    value["annotations"][2] = {"id": 3, "image_id": 3, "category_id": 0}
    value["annotations"][3]["bbox"] = [50, 5, 14.5, 10]
    value["images"][8]["metadata"] = {"status": "unlabeled"}
    split = {"method": "auto", "exclude_images": [8]}
    result = convert(write(tmp_path / "ds", value), work_dir=tmp_path / "w", target="yolo", task="object_detection",
                     split=split)  # fmt: skip
    proof = json.loads((tmp_path / "w/conversion.json").read_text())["proof"]
    assert proof == result.written["proof"]
    told = {kind: (entry["count"], entry["unit"], entry["ids"]) for kind, entry in proof["left_out"].items()}
    assert told == {
        "unlabeled": (1, "images", [9]),
        "not_in_split": (1, "images", [8]),
        "of_images_left_out": (2, "annotations", [8, 9]),
        "background": (1, "annotations", [3]),
        "crowd": (1, "annotations", [2]),
    }
    assert {kind: entry["ids"] for kind, entry in proof["changed"].items()} == {"boxes_clipped": [4]}
    assert not proof["lossless"]
    counts = proof["counts"]
    assert counts["in"] == counts["out"]
    assert sum(part["annotations"] for part in counts["out"].values()) == 9 - 4
    assert sum(part["images"] for part in counts["out"].values()) == 8


def test_a_sound_dataset_is_lossless(found: Inspection, tmp_path: Path) -> None:
    proof = made(found, tmp_path / "out")["proof"]
    assert proof["lossless"]
    assert (proof["left_out"], proof["changed"]) == ({}, {})
    assert proof["checksum_in"] == proof["checksum_out"]
    other = made(looked(write(tmp_path / "other", document(10, classes=1))), tmp_path / "out2")["proof"]
    assert other["checksum_in"] != proof["checksum_in"]


def test_a_wrong_digit_stops_the_conversion(found: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = label_lines.cells

    def wrong(numbers: np.ndarray) -> np.ndarray:
        text = right(numbers)
        text[-1] ^= 1
        return text

    monkeypatch.setattr(label_lines, "cells", wrong)
    with pytest.raises(ProofFailed, match=r"numbers: number .* was meant as"):
        made(found, tmp_path / "out")


def test_a_wrong_class_stops_the_conversion(found: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = label_lines.class_tokens
    monkeypatch.setattr(label_lines, "class_tokens", lambda count: right(count)[::-1])
    with pytest.raises(ProofFailed, match="classes"):
        made(found, tmp_path / "out")


def test_a_forgotten_label_stops_the_conversion(
    found: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(dataset: Any, rows: Any, wanted: np.ndarray) -> Any:
        wanted = wanted.copy()
        wanted[0] = False
        return labels_of(dataset, rows, wanted)

    monkeypatch.setattr(yolo, "labels_of", forgetful)
    with pytest.raises(ProofFailed, match="went in"):
        made(found, tmp_path / "out")
    monkeypatch.setattr(coco, "labels_of", forgetful)
    with pytest.raises(ProofFailed, match="went in"):
        made(found, tmp_path / "coco", "coco")


def test_labels_in_the_wrong_file_stop_the_conversion(
    found: Inspection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every number is right, and every one stands one image too far.
    right = yolo.Folder.write_all

    def shifted(self: Any, names: list[str], text: memoryview, bounds: list[int]) -> None:
        right(self, names[1:] + names[:1], text, bounds)

    monkeypatch.setattr(yolo.Folder, "write_all", shifted)
    with pytest.raises(ProofFailed, match="does not say what image"):
        made(looked(_different(tmp_path / "different")), tmp_path / "out")


def test_a_wrong_pixel_stops_the_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = document(4)
    for annotation in value["annotations"]:
        annotation["segmentation"] = [[5, 5, 20, 5, 20, 20]]
    root = write(tmp_path / "ds", value, name="annotations_segmentation.json")
    found = looked(root, task="instance_segmentation", split={"ratio": [0.5, 0.5]})
    right = masks.write_png

    def wrong(pixels: np.ndarray, colours: bytes) -> bytes:
        pixels = pixels.copy()
        pixels[10, 12] ^= 1
        return right(pixels, colours)

    monkeypatch.setattr(masks, "write_png", wrong)
    with pytest.raises(ProofFailed, match="pixels"):
        made(found, tmp_path / "out", "masks")


def test_the_spot_check_reads_what_lies_on_the_disk(found: Inspection, tmp_path: Path) -> None:
    made(found, tmp_path / "out")
    dataset = found.dataset
    assert dataset is not None
    rows = np.array([0])
    labels = labels_of(dataset, rows, dataset.trained)
    name = "line__001.txt"
    folder = next(path.parent for path in (tmp_path / "out/labels").rglob(name))
    spot_check(dataset, labels, rows, [name], folder)
    for text in ("0 0.5 0.5 0.1 0.1\n", "1 0.5 0.5 0.1 0.1\n", "", (folder / name).read_text() * 2):
        (folder / name).write_text(text)
        with pytest.raises(ProofFailed, match="does not say what image 1 has"):
            spot_check(dataset, labels, rows, [name], folder)


def test_a_class_that_is_none_stops_the_conversion(found: Inspection) -> None:
    assert found.dataset is not None
    assert found.split is not None
    account = Account(found.dataset, yolo.select(found.dataset, found.split), covers=[], resolution="")
    with pytest.raises(ProofFailed, match="a class that the dataset does not have"):
        account.count("train", images=1, classes=np.array([2]))


def _different(root: Path) -> Path:
    value = document(10)
    for at, annotation in enumerate(value["annotations"]):
        annotation["bbox"] = [1 + at, 2, 10 + at, 12]
    return write(root, value)
