"""One door to all writers: what a target cannot hold, and writing it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steps.convert.check.files import ImageFile, Progress
from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.split.resolve import Split
from steps.convert.write.classes import write_classes
from steps.convert.write.coco import check_coco, write_coco
from steps.convert.write.dice import check_dice, write_dice
from steps.convert.write.imagefolder import check_imagefolder, write_imagefolder
from steps.convert.write.masks import check_masks, write_masks
from steps.convert.write.yolo import check_yolo, write_yolo

TARGETS = ("yolo", "coco", "imagefolder", "masks", "dice", "none")
_CHECKS: dict[str, Callable[[Dataset, Sequence[ImageFile]], list[Problem]]] = {
    "yolo": check_yolo,
    "coco": check_coco,
    "imagefolder": check_imagefolder,
    "masks": check_masks,
    "dice": check_dice,
}
_WRITERS: dict[str, Callable[..., dict[str, Any]]] = {
    "yolo": write_yolo,
    "coco": write_coco,
    "imagefolder": write_imagefolder,
    "masks": write_masks,
    "dice": write_dice,
}


def check_target(dataset: Dataset, files: Sequence[ImageFile], *, target: str) -> list[Problem]:
    """Tells what a target cannot hold, though the dataset is sound."""
    if target == "none":
        return []
    return _CHECKS[_kind(dataset, target)](dataset, files)


def write_target(
    dataset: Dataset,
    split: Split,
    files: Sequence[ImageFile],
    *,
    target: str,
    folder: Path,
    final: Path,
    labels_only: bool = False,
    copy: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes a target into the fresh `folder`, naming `final` as its later place; gives counts, links and `proof`.

    With `labels_only` no image is touched and `files` may be empty; `copy` makes the images files of their own.
    Raises ProofFailed where what was written does not say what the dataset says.
    """
    if target == "none":
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    write = _WRITERS[_kind(dataset, target)]
    written = write(
        dataset, split, files, folder=folder, final=final, labels_only=labels_only, copy=copy, progress=progress
    )
    if target != "dice":
        write_classes(folder / "classes.json", dataset, written.pop("classes", None))
    return written


def _kind(dataset: Dataset, target: str) -> str:
    # What YOLO trainers read for classification is folders of images, one for each class.
    return "imagefolder" if target == "yolo" and dataset.task == "image_classification" else target
