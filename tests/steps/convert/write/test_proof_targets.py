"""For every target: a writer that errs is stopped, whatever it errs in; what is right is never stopped."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steps.convert.check.inspection import Inspection
from steps.convert.dataset import Rle
from steps.convert.write import coco, dice, document, imagefolder, masks, outlines, yolo_data
from steps.convert.write.link import Linker
from steps.convert.write.proof import ProofFailed
from tests.steps.convert.making import SIZE, picture, write
from tests.steps.convert.making import document as sound
from tests.steps.convert.write.test_proof import looked, made

HALF = {"ratio": [0.5, 0.5]}
TASKS = {
    "yolo": "object_detection", "coco": "object_detection", "dice": "object_detection",
    "imagefolder": "image_classification", "masks": "instance_segmentation",
}  # fmt: skip


def shape(n: int) -> list[list[float]]:
    """Gives an outline that lies otherwise in every image: neither its mirror image nor its turned one."""
    return [[5 + n, 5, 30 + n, 6, 29 + n, 40, 20 + n, 12]]


def source(root: Path, task: str) -> Inspection:
    value = sound(12)
    for n, annotation in enumerate(value["annotations"]):
        annotation["bbox"] = [1 + n, 2, 10 + n, 12]
        if task == "instance_segmentation":
            annotation["segmentation"] = shape(n)
    if task == "image_classification":
        value["images"].pop()
        for annotation in value["annotations"]:
            del annotation["bbox"]
    name = "annotations_segmentation.json" if task == "instance_segmentation" else "annotations.json"
    return looked(write(root, value, name=name), task=task, split=HALF)


def masked(root: Path) -> Inspection:
    """Makes objects of run lengths, each with a hole or in two parts."""
    value = sound(8)
    for n, annotation in enumerate(value["annotations"]):
        mask = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
        mask[4 : 30 + n, 5:20] = True
        mask[8:12, 8:14] = False
        mask[40:45, 30 : 50 + n] = True
        flat = np.concatenate([[False], mask.T.reshape(-1)])
        turns = np.flatnonzero(flat[1:] != flat[:-1])
        runs = np.diff(np.concatenate([[0], turns, [mask.size]])).tolist()
        annotation["segmentation"] = {"size": [SIZE[1], SIZE[0]], "counts": runs}
        annotation["bbox"] = [5, 4, max(15, 45 + n), 41]
    return looked(write(root, value, name="annotations_segmentation.json"), task="instance_segmentation", split=HALF)


@pytest.mark.parametrize("target", TASKS)
def test_what_is_right_is_not_stopped(tmp_path: Path, target: str) -> None:
    proof = made(source(tmp_path / "ds", TASKS[target]), tmp_path / "out", target)["proof"]
    assert proof["counts"]["in"] == proof["counts"]["out"]


@pytest.mark.parametrize("target", TASKS)
def test_another_images_picture_stops_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    right, found = Linker.link, source(tmp_path / "ds", TASKS[target])
    paths = [str(file.path) for file in found.files]

    def wrong(self: Linker, origin: str, place: str, *, copy: bool = False) -> None:
        right(self, paths[paths.index(origin) - 1], place, copy=copy)

    monkeypatch.setattr(Linker, "link", wrong)
    with pytest.raises(ProofFailed, match="is not the picture of image"):
        made(found, tmp_path / "out", target)


@pytest.mark.parametrize(("target", "module"), [("coco", coco), ("dice", dice)])
def test_classes_in_another_order_stop_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, module: Any
) -> None:
    right = module.categories

    def wrong(*given: Any) -> list[dict[str, Any]]:
        rows = right(*given)
        rows[-1]["name"], rows[-2]["name"] = rows[-2]["name"], rows[-1]["name"]
        return rows

    monkeypatch.setattr(module, "categories", wrong)
    with pytest.raises(ProofFailed, match="classes"):
        made(source(tmp_path / "ds", "object_detection"), tmp_path / "out", target)


def test_names_in_another_order_stop_yolo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = yolo_data._quoted
    swap = {"class0": "class1", "class1": "class0"}
    monkeypatch.setattr(yolo_data, "_quoted", lambda text: right(swap.get(text, text)))
    with pytest.raises(ProofFailed, match=r"data\.yaml was meant to name"):
        made(source(tmp_path / "ds", "object_detection"), tmp_path / "out")


@pytest.mark.parametrize("target", ["coco", "dice"])
@pytest.mark.parametrize("column", ["images", "categories", "boxes"])
def test_a_column_that_is_one_row_off_stops_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, column: str
) -> None:
    module = {"coco": coco, "dice": dice}[target]
    right = module.columns_of

    def wrong(*given: Any, **more: Any) -> Any:
        found = right(*given, **more)
        setattr(found, column, np.roll(getattr(found, column), 1, axis=0))
        return found

    monkeypatch.setattr(module, "columns_of", wrong)
    if target == "coco" and column == "boxes":
        monkeypatch.setattr(coco, "_complete", lambda d, rows, *_: (np.roll(d.boxes[rows], 1, axis=0), d.areas[rows]))
    with pytest.raises(ProofFailed):
        made(source(tmp_path / "ds", "object_detection"), tmp_path / "out", target)


def test_pictures_in_another_class_stop_imagefolder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = imagefolder._class_of
    # As many images of each class, and none of them its own.
    monkeypatch.setattr(imagefolder, "_class_of", lambda *given: np.roll(right(*given), 1))
    with pytest.raises(ProofFailed):
        made(source(tmp_path / "ds", "image_classification"), tmp_path / "out", "imagefolder")


@pytest.mark.parametrize("wrong", ["class", "mirrored", "down", "empty"])
def test_a_wrong_painter_stops_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    right = masks.painted

    def painted(*given: Any, background: int) -> Any:
        for one in right(*given, background=background):
            values = one.values
            swapped = np.array([1, 0, *range(2, 256)], dtype=np.uint8)
            new = {
                "class": swapped[values], "mirrored": values[:, ::-1], "down": np.roll(values, 9, axis=0),
                "empty": np.full_like(values, background),
            }[wrong]  # fmt: skip
            yield masks.Painted(values=np.ascontiguousarray(new), drawn=one.drawn, seen=one.seen)

    monkeypatch.setattr(masks, "painted", painted)
    with pytest.raises(ProofFailed, match=r"in the mask|the mask of image"):
        made(source(tmp_path / "ds", "instance_segmentation"), tmp_path / "out", "masks")


@pytest.mark.parametrize("target", ["yolo", "coco", "masks"])
def test_run_lengths_with_holes_and_parts_pass(tmp_path: Path, target: str) -> None:
    assert made(masked(tmp_path / "ds"), tmp_path / "out", target)["proof"]["counts"]


def test_run_lengths_read_along_rows_stop_yolo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(rle: Rle) -> np.ndarray:
        inside = np.arange(len(rle.counts)) % 2 == 1
        return np.repeat(inside, rle.counts).reshape(rle.height, rle.width)

    monkeypatch.setattr(outlines, "pixels", wrong)
    with pytest.raises(ProofFailed, match="does not say what image"):
        made(masked(tmp_path / "ds"), tmp_path / "out", "yolo")


def test_a_lost_hole_stops_yolo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = outlines.trace
    monkeypatch.setattr(outlines, "trace", lambda mask: right(mask)[:1])
    with pytest.raises(ProofFailed, match="does not say what image"):
        made(masked(tmp_path / "ds"), tmp_path / "out", "yolo")


def test_a_shape_that_was_lost_stops_coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = document.objects

    def wrong(columns: Any) -> list[dict[str, Any]]:
        return [{key: value for key, value in one.items() if key != "segmentation"} for one in right(columns)]

    monkeypatch.setattr(document, "objects", wrong)
    with pytest.raises(ProofFailed):
        made(masked(tmp_path / "ds"), tmp_path / "out", "coco")


@pytest.mark.parametrize("target", ["yolo", "dice", "coco"])
def test_names_without_their_folder_images_pass(tmp_path: Path, target: str) -> None:
    for part in ("train", "valid"):
        for n in range(3):
            picture(tmp_path / f"ds/{part}/images/{n}.png", seed=n + 5 * len(part))
            label = tmp_path / f"ds/{part}/labels/{n}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("0 .5 .5 .4 .4\n")
    (tmp_path / "ds/data.yaml").write_text("train: train/images\nval: valid/images\nnames: [a]\n")
    assert made(looked(tmp_path / "ds"), tmp_path / "out", target)["proof"]["left_out"] == {}
