"""Writes a dataset as YOLO reads it: data.yaml, linked images, and labels of boxes, outlines or keypoints."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steps.convert.check.files import ImageFile, Progress
from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.split.resolve import Split
from steps.convert.write.capacity import check_image_names, refused_task
from steps.convert.write.files import Folder, write_text
from steps.convert.write.flat_names import stem_of
from steps.convert.write.flip import flip_of_classes
from steps.convert.write.images import place_images, target_names
from steps.convert.write.label_lines import BoxLines, LineMaker, OutlineLines, PoseLines
from steps.convert.write.link import Linker
from steps.convert.write.proof import Account, ProofFailed
from steps.convert.write.selection import Labels, chunks, labels_of, select
from steps.convert.write.spot import spot_check
from steps.convert.write.spot_images import spot_images
from steps.convert.write.tokens import Garbled, read_lines
from steps.convert.write.yolo_data import data_yaml, prove_yaml

IMAGES, POINTS = 8192, 1 << 18  # at once: what bounds the memory
MAKERS: dict[str, tuple[type[LineMaker], tuple[str, ...]]] = {
    "object_detection": (BoxLines, ("boxes",)),
    "open_vocabulary_detection": (BoxLines, ("boxes",)),
    "instance_segmentation": (OutlineLines, ("polygons", "masks")),
    "pose_estimation": (PoseLines, ("boxes", "keypoints")),
}
RESOLUTION = "boxes, outlines and keypoints: a millionth of the image's width and height"


def check_yolo(dataset: Dataset, files: Sequence[ImageFile]) -> list[Problem]:
    """Tells what this target cannot hold, though the dataset is sound."""
    found = []
    if dataset.task not in MAKERS:
        found.append(refused_task(dataset, "yolo", (*MAKERS, "image_classification")))
    if dataset.task == "pose_estimation":
        found += _check_pose(dataset)
    return found + check_image_names(dataset, files)


def write_yolo(
    dataset: Dataset,
    split: Split,
    files: Sequence[ImageFile],
    *,
    folder: Path,
    final: Path,
    labels_only: bool = False,
    copy: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes into `folder`, naming `final` as the place it will be moved to; gives counts by part, links and proof."""
    selection = select(dataset, split)
    maker, covers = MAKERS[dataset.task]
    account = Account(dataset, selection, covers=covers, resolution=RESOLUTION)
    names = target_names(dataset, files)
    lines, linker = maker(dataset, account), Linker(copy=copy)
    written: dict[str, Any] = {}
    for part, rows in selection.rows.items():
        if not labels_only:
            place_images(folder / "images" / part, rows, names, files, linker, progress=progress)
            spot_images(dataset, files, rows, names, folder / "images" / part)
        labels = labels_of(dataset, rows, account.wanted)
        own = [stem_of(names[row]) + ".txt" for row in rows.tolist()]
        with Folder(folder / "labels" / part) as place:
            _write_labels(place, own, rows, labels, lines, account, part=part, progress=progress)
            if place.count() != len(rows):
                raise ProofFailed(f"{place.count()} label files stand in {part}, {len(rows)} were written")
        spot_check(dataset, labels, rows, own, folder / "labels" / part)
        written[part] = {"images": len(rows), "labels": len(labels.rows)}
    pose = dataset.task == "pose_estimation"
    write_text(folder / "data.yaml", data_yaml(dataset, selection.rows, final, pose=pose))
    prove_yaml(dataset, (folder / "data.yaml").read_text(encoding="utf-8"), pose=pose)
    return {"links": dict(linker.how), **written, "proof": account.proof()}


def _write_labels(
    place: Folder,
    names: list[str],
    rows: np.ndarray,
    labels: Labels,
    lines: LineMaker,
    account: Account,
    *,
    part: str,
    progress: Progress | None,
) -> None:
    first = labels.first
    weight = None if lines.weight is None else lines.weight[labels.rows]
    ids = account.dataset.image_ids[rows]
    for start, stop in chunks(first, images=IMAGES, weight=weight, limit=POINTS):
        block = lines.lines(labels.rows[first[start] : first[stop]])
        bounds = np.concatenate([[0], block.ends])[first[start : stop + 1] - first[start]]
        place.write_all(names[start:stop], memoryview(block.text), bounds.tolist())
        try:
            read = read_lines(block.text)
        except Garbled as error:
            raise ProofFailed(f"the labels of images {ids[start]} to {ids[stop - 1]} in {part}: {error}") from None
        account.same("images", ids[start:stop], ids[start:stop])
        account.same("labels", np.diff(first[start : stop + 1]), np.diff(np.searchsorted(read.ends, bounds, "right")))
        account.same("lengths", block.counts, read.counts)
        account.same("classes", block.classes, read.classes)
        account.same("numbers", block.numbers, read.numbers)
        account.count(part, images=stop - start, classes=read.classes)
        if progress:
            progress(f"labels {part}", stop, len(names))


def _check_pose(dataset: Dataset) -> list[Problem]:
    if dataset.keypoints is None or not dataset.keypoints.shape[1]:
        message, cure = "the dataset has no keypoints", "add `keypoints` to its annotations, or train a detector"
        return [Problem(code="keypoints_missing", file=dataset.document, message=message, cure=cure)]
    flip = flip_of_classes(dataset.classes, dataset.keypoints.shape[1])
    if dataset.flip_idx or flip.order:
        return []
    message = f"flip_idx is left out and images are not mirrored in training: {flip.reason}"
    cure = "name the keypoints of the categories, in pairs such as left_eye and right_eye"
    return [Problem(level="warning", code="flip_unknown", file=dataset.document, message=message, cure=cure)]
