"""Reads Pascal VOC datasets: one XML file for each image, boxes, polygons where tools write them, and ImageSets."""

import posixpath
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steps.convert.check.files import ImageFile, read_images
from steps.convert.dataset import NO_PART, Dataset
from steps.convert.problems import Problem
from steps.convert.read.class_names import look_alikes, sorted_categories
from steps.convert.read.layout import Layout
from steps.convert.read.listing import list_files
from steps.convert.read.parts import image_parts, part_of
from steps.convert.read.result import Progress, Reading
from steps.convert.read.voc_documents import Documents, Paired
from steps.convert.read.voc_files import passed_over, read_parts
from steps.convert.read.voc_rows import Rows, columns
from steps.convert.read.yolo_names import refusal

UNFIT = ("image_classification", "pose_estimation", "semantic_segmentation", "panoptic_segmentation")


def read_voc(
    root: Path, layout: Layout, *, task: str | None, everything: bool, contained: bool, progress: Progress | None
) -> Reading:
    """Reads the annotation files in order of their images; classes are sorted by name and numbered from 0.

    Coordinates are edges, unless a file says itself that it is Pascal's own (see voc_xml.read_xml). What no target
    holds is left: pose, truncated, occluded, parts. Objects marked difficult are kept.
    """
    if task in UNFIT:
        message = f"Pascal VOC is read for detection and instance segmentation, not for {task}"
        raise refusal("task_unfit", message, "choose another task, or export another format")
    listing = list_files(root, contained=contained)
    documents = Documents(root, Rows(outlines_wanted=everything or task in (None, "instance_segmentation")))
    documents.read(listing, progress)
    found = documents.paired
    row_of = np.zeros(len(found), dtype=np.int64)
    for row, one in enumerate(found):
        if one.number >= 0:
            row_of[one.number] = row
    categories = sorted_categories(documents.rows.names)
    rows = columns(documents.rows, images=row_of, categories=categories)
    names, image_root = _common_root([one.name for one in found])
    parts, of_parts = read_parts(root, listing, _stems(found, documents.unread), len(found))
    if not any(part != NO_PART for part in parts):
        parts = [_by_folder(one.name) for one in found]
    files, of_sizes = _sizes(root, found, contained=contained, progress=progress)
    count = len(rows.images)
    dataset = Dataset(
        layout=layout.id,
        document="Annotations",
        task=task or ("instance_segmentation" if rows.outlined else "object_detection"),
        categories=categories,
        image_ids=np.arange(1, len(found) + 1, dtype=np.int64),
        image_names=names,
        image_sizes=np.array([(one.width, one.height) for one in found], dtype=np.int64).reshape(-1, 2),
        image_labeled=np.array([one.document is not None for one in found], dtype=bool),
        annotation_ids=np.arange(1, count + 1, dtype=np.int64),
        annotation_image=rows.images,
        annotation_class=rows.classes,
        annotation_crowd=np.zeros(count, dtype=bool),
        boxes=rows.boxes,
        outlines=rows.outlines,
        image_parts=image_parts(parts),
        image_documents=[one.document or one.name for one in found],
        image_root=image_root,
    )
    problems = [*listing.problems, *passed_over(listing), *documents.problems, *rows.problems, *of_parts, *of_sizes]
    problems += look_alikes(categories, file="Annotations")
    contents = documents.contents
    return Reading(dataset=dataset, problems=problems, contents=contents, files=files, notes=_notes(found))


def _notes(found: Sequence[Paired]) -> list[str]:
    """Says for the record how pixels were counted."""
    documents = sum(one.document is not None for one in found)
    genuine = sum(one.genuine for one in found)
    edges = "coordinates are edges as written: width = xmax - xmin"
    own = "pixels are numbered from 1 to the last one, as Pascal's own: x = xmin - 1, width = xmax - xmin + 1"
    told = [(edges, documents - genuine), (own, genuine)]
    return [f"Pascal VOC, {count} files: {how}" for how, count in told if count]


def _common_root(names: list[str]) -> tuple[list[str], str]:
    """Gives names relative to the folder that all images lie in, such as JPEGImages/, and that folder."""
    folder = posixpath.commonpath([posixpath.dirname(name) for name in names]) if names else ""
    folder = next((folder for folder in (folder,) if folder and part_of(folder.rpartition("/")[2]) == NO_PART), "")
    prefix = f"{folder}/" if folder else ""
    return [name[len(prefix) :] for name in names], prefix or "./"


def _stems(found: Sequence[Paired], unread: Sequence[str]) -> dict[str, list[int]]:
    """Gives the images by the names that a list may use: with or without folders, of image or annotation file."""
    stems: dict[str, list[int]] = {}
    for row, one in enumerate(found):
        for key in {key for name in (one.name, one.document) if name for key in _spellings(name)}:
            stems.setdefault(key, []).append(row)
    for name in unread:
        for key in _spellings(name):
            stems.setdefault(key, [])  # known, but not in the dataset
    return stems


def _spellings(name: str) -> tuple[str, str, str]:
    whole = posixpath.splitext(name)[0]
    return whole, whole.rpartition("/")[2], whole.partition("/")[2]


def _by_folder(name: str) -> int:
    return next((part for step in name.split("/")[:-1] if (part := part_of(step)) != NO_PART), NO_PART)


def _sizes(
    root: Path, found: Sequence[Paired], *, contained: bool, progress: Progress | None
) -> tuple[list[ImageFile] | None, list[Problem]]:
    """Takes sizes that are not written from the images; no files where all are written and no image was opened."""
    unknown = [one for one in found if not one.width or not one.height]
    if not unknown:
        return None, []
    files = read_images(root, [one.name for one in found], image_root="./", contained=contained, progress=progress)
    for one, file in zip(found, files, strict=True):
        if not one.width or not one.height:
            one.width, one.height = file.shown if file.width and file.height else (1, 1)
    told = [one for one in unknown if one.document]
    if not told:
        return files, []
    message = f"{len(told)} annotation files give no width and height; they are taken from the images"
    cure = "nothing need be done: it is what their boxes are checked against"
    return files, [Problem(level="warning", code="size_missing", file=told[0].document, message=message, cure=cure)]
