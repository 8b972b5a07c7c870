"""Takes some images and annotations out of a dataset: every column, in order."""

from dataclasses import replace
from typing import Any

import numpy as np

from steps.convert.dataset import Bools, Dataset, Ints, Outlines


def take(dataset: Dataset, *, images: Bools | None = None, annotations: Bools | None = None) -> Dataset:
    """Gives the dataset with the marked images (None: all) and, of the annotations on these, the marked ones."""
    keep_images = np.ones(len(dataset.image_ids), dtype=bool) if images is None else images
    keep = keep_images[dataset.annotation_image]
    if annotations is not None:
        keep = keep & annotations
    row_of = np.cumsum(keep_images) - 1
    rows, items = np.flatnonzero(keep_images), np.flatnonzero(keep)
    place = np.cumsum(keep) - 1
    outlines = dataset.outlines
    return replace(
        dataset,
        image_ids=dataset.image_ids[rows],
        image_names=_some(dataset.image_names, rows),
        image_sizes=dataset.image_sizes[rows],
        image_labeled=dataset.image_labeled[rows],
        image_parts=None if dataset.image_parts is None else dataset.image_parts[rows],
        image_masks=_some(dataset.image_masks, rows),
        image_keys=_some(dataset.image_keys, rows),
        image_documents=_some(dataset.image_documents, rows),
        image_attributes=_attributes(dataset, images, rows),
        annotation_ids=dataset.annotation_ids[items],
        annotation_image=row_of[dataset.annotation_image[items]],
        annotation_class=dataset.annotation_class[items],
        annotation_crowd=dataset.annotation_crowd[items],
        boxes=dataset.boxes[items],
        areas=None if dataset.areas is None else dataset.areas[items],
        outlines=None
        if outlines is None
        else take_rings(outlines, np.repeat(keep, np.diff(outlines.first_ring)), keep),
        rles={int(place[at]): rle for at, rle in dataset.rles.items() if keep[at]},
        keypoints=None if dataset.keypoints is None else dataset.keypoints[items],
    )


def _attributes(dataset: Dataset, images: Bools | None, rows: Ints) -> Any:
    # They are read from the document once somebody asks: who keeps all images does not.
    if images is None or not len(dataset.image_attributes):
        return dataset.image_attributes
    return _some(dataset.image_attributes, rows)


def take_rings(outlines: Outlines, rings: Bools, annotations: Bools | None = None) -> Outlines:
    """Gives the outlines with the marked rings; `annotations` takes those out whose rings are all unmarked."""
    counts = np.diff(outlines.first_point)
    owner = np.repeat(np.arange(len(outlines.first_ring) - 1), np.diff(outlines.first_ring))
    per_annotation = np.bincount(owner[rings], minlength=len(outlines.first_ring) - 1)
    if annotations is not None:
        per_annotation = per_annotation[annotations]
    return Outlines(
        points=outlines.points[np.repeat(rings, counts)],
        first_point=_starts(counts[rings]),
        first_ring=_starts(per_annotation),
    )


def _starts(counts: np.ndarray) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _some(values: Any, rows: Ints) -> Any:
    return None if values is None else [values[row] for row in rows.tolist()]
