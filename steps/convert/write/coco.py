"""Writes COCO: annotations/{train,val,test}.json and the images of all parts in one folder images/."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steps.convert.check.files import ImageFile, Progress
from steps.convert.dataset import Bools, Dataset, Floats, Ints
from steps.convert.problems import Problem
from steps.convert.split.resolve import Split
from steps.convert.write.annotations import Columns, columns_of
from steps.convert.write.capacity import check_image_names, refused_task
from steps.convert.write.document import DocumentWriter, categories, write_annotations, write_images
from steps.convert.write.images import place_images, target_names
from steps.convert.write.link import Linker
from steps.convert.write.measure import measured
from steps.convert.write.proof import Account, ProofFailed
from steps.convert.write.selection import labels_of, select
from steps.convert.write.spot_images import spot_images
from steps.convert.write.spot_objects import spot_categories

TASKS = {
    "object_detection": ["boxes"],
    "open_vocabulary_detection": ["boxes"],
    "instance_segmentation": ["boxes", "polygons", "masks"],
    "pose_estimation": ["boxes", "keypoints"],
}


def check_coco(dataset: Dataset, files: Sequence[ImageFile]) -> list[Problem]:
    """Tells what this target cannot hold, though the dataset is sound."""
    found = [] if dataset.task in TASKS else [refused_task(dataset, "coco", list(TASKS))]
    return found + check_image_names(dataset, files)


def write_coco(
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
    """Writes into `folder`; category ids are the class indexes, so that what a model predicts is an index.

    Crowds stay, with iscrowd 1; areas and boxes that are missing are measured from the outline, as COCO's own
    evaluation needs them.
    """
    selection = select(dataset, split)
    account = Account(dataset, selection, covers=TASKS[dataset.task], resolution="exact: numbers as 64-bit floats")
    names, linker = target_names(dataset, files), Linker(copy=copy)
    # In COCO's evaluation an annotation with the id 0 counts as none.
    shift = int(bool(len(dataset.annotation_ids)) and int(dataset.annotation_ids.min()) < 1)
    ids = dataset.annotation_ids + shift
    if shift:
        why = "an annotation has the id 0, which COCO's evaluation takes for none: all ids are one higher"
        account.change("ids_raised", np.flatnonzero(account.wanted), why)
    outlined = _outlined(dataset)
    bare = ~np.isfinite(dataset.boxes).all(axis=1) & ~outlined
    account.leave("no_box", np.flatnonzero(bare), "they have neither box nor outline")
    # The background has no number here: it is no class that a detector predicts.
    category_ids = np.arange(len(dataset.classes))
    written: dict[str, Any] = {}
    for part, rows in selection.rows.items():
        if not labels_only:
            place_images(folder / "images", rows, names, files, linker, progress=progress)
            spot_images(dataset, files, rows, names, folder / "images")
        labels = labels_of(dataset, rows, account.wanted)

        def gather(some: Ints) -> Columns:
            found = columns_of(dataset, some, ids=ids, category_ids=category_ids, full=True)
            found.boxes, found.areas = _complete(dataset, some, account, outlined)
            return found

        path = folder / "annotations" / f"{part}.json"
        with DocumentWriter(path) as document:
            document.value("info", {"description": "made from a DICE dataset", "version": "1.0"})
            document.value("licenses", [])
            listed_classes = categories(dataset, {c.index: c.index or 0 for c in dataset.classes})
            named = spot_categories(dataset, document.value("categories", listed_classes), by_index=True)
            listed = write_images(document, account, rows, names)
            classes = write_annotations(
                document, account, labels.rows, names=named, category_ids=category_ids, gather=gather
            )
        account.count(part, images=listed, classes=classes)
        if progress:
            progress(f"labels {part}", len(rows), len(rows))
        written[part] = {"images": len(rows), "labels": len(labels.rows)}
    if not labels_only:
        standing = sum(1 for _ in os.scandir(folder / "images"))
        if standing != sum(map(len, selection.rows.values())):
            raise ProofFailed(f"{standing} images stand in the folder, not as many as were written")
    own = [{"category_id": index} for index in range(len(dataset.classes))]
    return {"links": dict(linker.how), **written, "classes": own, "proof": account.proof()}


def _outlined(dataset: Dataset) -> Bools:
    has: Bools = np.zeros(len(dataset.annotation_ids), dtype=bool)
    has[list(dataset.rles)] = True
    if dataset.outlines is not None:
        has |= np.diff(dataset.outlines.first_ring) > 0
    return has


def _complete(dataset: Dataset, rows: Ints, account: Account, outlined: Bools) -> tuple[Floats, Floats]:
    """Gives boxes and areas, measured where they are not declared."""
    boxes = dataset.boxes[rows]
    areas = np.full(len(rows), np.nan) if dataset.areas is None else dataset.areas[rows].copy()
    boxed = np.isfinite(boxes).all(axis=1)
    missing = np.isnan(areas) | ~boxed
    if missing.any():
        boxes = boxes.copy()
        plain = missing & boxed & ~outlined[rows]
        areas[plain] = boxes[plain, 2] * boxes[plain, 3]
        for at in np.flatnonzero(missing & ~plain).tolist():
            box, area = measured(dataset, int(rows[at]))
            if not np.isfinite(boxes[at]).all():
                boxes[at] = box
            if np.isnan(areas[at]):
                areas[at] = area
        account.change("measured", rows[missing], "their box or area is not declared and was measured")
    return boxes, areas
