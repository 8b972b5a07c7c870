"""The one door to every layout: recognises what a folder holds and reads it into the in-memory dataset."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steps.convert.dataset import Dataset
from steps.convert.problems import DatasetRefused, Problem
from steps.convert.read.besides import read_besides
from steps.convert.read.choice import Choice, choose, document_names, no_documents
from steps.convert.read.document import Document, document_dataset, parse_document
from steps.convert.read.imagefolder import read_imagefolder
from steps.convert.read.json_content import JsonContent
from steps.convert.read.layout import Layout, detect_document, detect_folder
from steps.convert.read.merge import merge, placed
from steps.convert.read.result import Progress, Reading
from steps.convert.read.voc import read_voc
from steps.convert.read.yolo import read_yolo
from steps.convert.tasks import BOXED, DOCUMENT_WORDS, READS_KEYPOINTS, READS_OUTLINES, UnknownTask, canonical_task
from steps.convert.version import Content

__all__ = ["Progress", "Reading", "read"]

FOLDERS = {"YOLO": read_yolo, "D5": read_yolo, "VOC": read_voc, "ImageFolder": read_imagefolder}
LARGE = 1 << 29  # bytes of a document of which only what its task needs is read
CURE = "convert it to DICE 1.0 (D1)"


def read(
    root: Path,
    *,
    task: str | None = None,
    everything: bool = False,
    contained: bool = False,
    progress: Progress | None = None,
) -> Reading:
    """Reads a dataset folder for a task (None: guessed); raises DatasetRefused where it cannot be read at all.

    Outlines, masks and keypoints are read where the task needs them, or `everything` is wanted.
    """
    if not os.path.isdir(root):  # a path that is too long is none either
        raise _refusal("dataset_missing", f"{root} is no folder", "give the folder of a dataset")
    names = document_names(root)
    choice = choose(names, task=task)
    if choice is not None:
        return _read_documents(root, names, choice, everything=everything, contained=contained, progress=progress)
    layout = detect_folder(root)
    if layout.id in FOLDERS:
        reader = FOLDERS[layout.id]
        try:
            return reader(root, layout, task=task, everything=everything, contained=contained, progress=progress)
        except DatasetRefused as refusal:
            refusal.layout = layout.id
            raise
    raise _without_document(root, names, layout, task)


def _read_documents(
    root: Path, names: Sequence[str], choice: Choice, *, everything: bool, contained: bool, progress: Progress | None
) -> Reading:
    problems = _too_large(root, choice) if everything else []
    everything = choice.task is None or (everything and not problems)
    outlines, keypoints = everything or choice.task in READS_OUTLINES, everything or choice.task in READS_KEYPOINTS
    datasets: list[Dataset] = []
    contents: dict[str, Content] = {}
    declared: list[str] = []
    beside = frozenset(os.listdir(root))
    inside = [name for name in names if not contained or _is_inside(root, name)]
    for name, part in choice.documents:
        if name not in inside:
            message, cure = "it is a link that leaves the dataset", "put the file itself there"
            raise _refusal("path_unsafe", message, cure, file=name)
        document = parse_document(root / name, name, outlines=outlines, keypoints=keypoints, progress=progress)
        layout = _layout(document, beside)
        dataset, found = document_dataset(document, layout=layout.id, task=choice.task or "")
        problems += found
        declared += _declared(document, layout, needed=choice.task is None)
        contents[name] = JsonContent(document.path, document.frame)
        datasets.append(placed(dataset, root, part) if layout.id == "COCO" or len(choice.documents) > 1 else dataset)
        del document, dataset  # of several, the columns of one at a time are enough
    if len(datasets) > 1:
        whole, found = merge(datasets, [part or "" for _, part in choice.documents])
        problems += found
    else:
        whole = datasets[0]
    del datasets
    whole = dataclasses.replace(whole, task=choice.task or (declared[0] if declared else guess_task(whole)))
    problems += _other_tasks(whole, declared)
    others = [name for name in inside if name not in contents]
    more, images, found = read_besides(root, others, known=whole.image_names)
    masks = [name for name in whole.image_masks or () if name]
    return Reading(dataset=whole, problems=problems + found, contents={**contents, **more}, other_images=images + masks)


def guess_task(dataset: Dataset) -> str:
    """Gives the task that the labels are made for: poses, outlines, masks, boxes, or classes alone."""
    if dataset.keypoints is not None:
        return "pose_estimation"
    if dataset.outlines is not None or dataset.rles:
        return "instance_segmentation"
    if dataset.image_masks is not None:
        return "semantic_segmentation"
    return "image_classification" if np.isnan(dataset.boxes).all() and len(dataset.boxes) else "object_detection"


def _too_large(root: Path, choice: Choice) -> list[Problem]:
    """Says which documents are too large to be read for more than their task, if that is known."""
    if choice.task is None:
        return []
    sizes = [(name, (root / name).stat().st_size) for name, _ in choice.documents]
    return [
        Problem(
            level="warning",
            code="document_large",
            file=name,
            message=f"it is {size / 1e9:.1f} GB long: it was read for {choice.task} alone, and no further",
            cure="make several datasets of it to have everything in it checked",
        )
        for name, size in sizes
        if size > LARGE
    ]


def _is_inside(root: Path, name: str) -> bool:
    return os.path.realpath(root / name).startswith(os.path.realpath(root) + os.sep)


def _layout(document: Document, beside: frozenset[str]) -> Layout:
    value: dict[str, Any] = dict(document.value)
    if document.nested:
        value["images"] = [{"annotations": []}]
    layout = detect_document(document.name, value, beside=beside)
    if layout.id == "unknown":
        message = f"recognised as {layout.title} ({layout.evidence}), which is not supported"
        raise DatasetRefused([Problem(code="layout_unsupported", file=document.name, message=message, cure=CURE)])
    return layout


def _declared(document: Document, layout: Layout, *, needed: bool) -> list[str]:
    """Gives the task that the header of the platform's own layouts names; one that is unknown matters if `needed`."""
    word = document.value.get("task_type") if layout.id in ("D3", "D4") else None
    if not isinstance(word, str) or not word.strip():
        return []
    try:
        return [canonical_task(word)]
    except UnknownTask as error:
        if not needed:
            return []
        message = f"task_type: {error}"
        problem = Problem(
            code="task_unsupported", file=document.name, message=message, cure="export it for one of these"
        )
        raise DatasetRefused([problem], layout=layout.id) from None


def _other_tasks(dataset: Dataset, declared: Sequence[str]) -> list[Problem]:
    boxless = {"image_classification", "semantic_segmentation"}
    if dataset.task not in BOXED or not boxless.intersection(declared) or not np.isnan(dataset.boxes).all():
        return []
    message = f"it is labeled for {declared[0]} and holds no boxes, which {dataset.task} needs"
    cure = f"choose the task {declared[0]}, or add boxes"
    return [Problem(code="task_mismatch", file=dataset.document, message=message, cure=cure)]


def _without_document(root: Path, names: Sequence[str], layout: Layout, task: str | None) -> DatasetRefused:
    word = DOCUMENT_WORDS.get(task or "object_detection", task)
    if layout.id == "unknown":
        if names:
            message = f"no annotation document for {task or 'any task'}: the dataset holds {', '.join(names)}"
            return _refusal("document_missing", message, f"add annotations_{word}.json, or choose another task")
        if odd := ", ".join(no_documents(root)):
            return _refusal("document_missing", f"no annotation document: {odd}", "put the file itself there")
        cure = f"add annotations_{word}.json or annotations.json at the top of the dataset"
        if deeper := _one_deeper(root):
            cure = f"the dataset seems to lie one folder deeper: give {deeper}"
        return _refusal("document_missing", layout.evidence, cure)
    message = f"recognised as {layout.title} ({layout.evidence}), which is not supported"
    refused = _refusal("layout_unsupported", message, CURE)
    refused.layout = layout.id
    return refused


def _one_deeper(root: Path) -> str | None:
    # What a dataset consists of is none by itself, though its folders may look like classes.
    inner = (".", "__", "images", "JPEGImages", "labels")
    folders = [entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(inner)]
    if len(folders) == 1 and (document_names(folders[0]) or detect_folder(folders[0]).id in ("D5", "YOLO", "VOC")):
        return f"{folders[0].name}/"
    return None


def _refusal(code: str, message: str, cure: str, *, file: str | None = None) -> DatasetRefused:
    return DatasetRefused([Problem(code=code, file=file, message=message, cure=cure)])
