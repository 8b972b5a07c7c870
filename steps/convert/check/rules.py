"""Checks a dataset against its image files and its own rules, and tells everything at once."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steps.convert.check.boxes import tell_boxes
from steps.convert.check.files import ImageFile, Progress
from steps.convert.check.images import tell_images
from steps.convert.check.keypoints import tell_keypoints
from steps.convert.check.masks import tell_masks
from steps.convert.check.oddities import tell_few_labels
from steps.convert.check.outlines import tell_outlines, trains_on_outlines
from steps.convert.check.repeats import repeated
from steps.convert.check.telling import Findings
from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.tasks import BOXED, OUTLINED

IMBALANCE = 20  # times as many annotations in the largest class as in the smallest
CROWDS = {  # what becomes of a crowd in each target
    "yolo": "they are left out, for labels have no word for crowds",
    "coco": "they are kept with iscrowd 1, which trainers and evaluation pass over",
    "masks": "their pixels are painted as 255, which is ignored",
    "dice": "they are kept as they are",
}


def check(
    dataset: Dataset,
    files: Sequence[ImageFile],
    *,
    root: Path | None = None,
    contained: bool = False,
    labels_only: bool = False,
    target: str = "none",
    progress: Progress | None = None,
) -> tuple[Dataset, list[Problem]]:
    """Gives the dataset with what sticks out by a pixel clipped, and every finding about it.

    With `labels_only` there are no files to hold it against.
    """
    findings = Findings(dataset)
    if not dataset.image_names:
        findings.add("dataset_empty", "the dataset is empty: no usable image is listed", "add images to the document")
    if not dataset.classes:
        findings.add("no_classes", "no category besides the background", "add at least one category")
    if not labels_only:
        tell_images(findings, files)
    dataset = _shapes(findings, dataset)
    if dataset.task == "semantic_segmentation" and root is not None and not labels_only:
        tell_masks(findings, root, list(files), contained=contained, progress=progress)
    if dataset.task == "image_classification":
        _one_class(findings)
    if dataset.task == "object_detection":
        tell_few_labels(findings)
    _crowd(findings, target)
    _classes(findings)
    return dataset, findings.problems


def _shapes(findings: Findings, dataset: Dataset) -> Dataset:
    """Checks what the task trains as errors; other shapes that were read are worth a warning."""
    task = dataset.task
    boxes = dataset.boxes
    if task in BOXED and not (task in OUTLINED and np.isnan(boxes).all()):
        boxes = tell_boxes(findings)
    outlines, keypoints = dataset.outlines, dataset.keypoints
    outlined = trains_on_outlines(dataset)
    if outlined or outlines is not None or dataset.rles:
        outlines = tell_outlines(findings, level="error" if outlined else "warning", needed=outlined)
    if task == "pose_estimation" or keypoints is not None:
        posed = task == "pose_estimation"
        keypoints = tell_keypoints(findings, level="error" if posed else "warning", needed=posed)
    return dataclasses.replace(dataset, boxes=boxes, outlines=outlines, keypoints=keypoints)


def _one_class(findings: Findings) -> None:
    """An image that is to be classified has one class; the same one twice is only untidy."""
    dataset = findings.dataset
    presence = np.unique(np.column_stack([dataset.annotation_image, dataset.annotation_class])[dataset.trained], axis=0)
    amounts = np.bincount(presence[:, 0], minlength=len(dataset.image_names)) if len(presence) else np.zeros(0, int)

    def say(row: int) -> str:
        names = [dataset.classes[index].name for index in presence[presence[:, 0] == row, 1].tolist()]
        return f"{dataset.image_names[row]} is of {len(names)} classes: {', '.join(map(repr, names[:5]))}"

    findings.images(amounts > 1, "label_conflict", say, "keep the one that is right")
    message, cure = "the image has this label twice", "drop one of the two"
    findings.annotations(repeated(dataset) & dataset.trained, "annotation_repeated", message, cure, level="warning")


def _crowd(findings: Findings, target: str) -> None:
    dataset = findings.dataset
    crowd = int((dataset.annotation_crowd & (dataset.annotation_class >= 0)).sum())
    if crowd and dataset.task in BOXED:
        meaning = CROWDS.get(target) or "; ".join(f"{name}: {words}" for name, words in CROWDS.items())
        message = f"{crowd} crowd annotations (iscrowd 1) are no single objects: {meaning}"
        findings.add("crowd", message, "outline the objects one by one to train on them", level="warning")


def _classes(findings: Findings) -> None:
    dataset = findings.dataset
    names = [category.name for category in dataset.classes]
    if not names or not dataset.image_names or dataset.image_masks is not None:
        return
    counts = np.bincount(dataset.annotation_class[dataset.trained], minlength=len(names))
    if not counts.any():
        findings.add("nothing_labeled", "no image carries a label of any class", "annotate some images")
        return
    empty = np.flatnonzero(counts == 0).tolist()
    for index in empty[:1000]:
        message, cure = f"class {names[index]!r} has no annotation", "annotate some, or drop the category"
        findings.add("class_empty", message, cure, level="warning")
    if len(empty) > 1000:
        findings.add("class_empty", f"and {len(empty) - 1000} more classes have none", "see above", level="warning")
    filled = np.flatnonzero(counts)
    most, least = filled[counts[filled].argmax()], filled[counts[filled].argmin()]
    if counts[most] >= IMBALANCE * counts[least]:
        message = f"{counts[most]} annotations of {names[most]!r} against {counts[least]} of {names[least]!r}"
        findings.add("class_imbalance", message, "collect more of the rare classes", level="warning")
