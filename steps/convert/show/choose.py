"""Chooses what is shown of a dataset: images in which every class stands, and objects of each class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steps.convert.check.files import ImageFile
from steps.convert.dataset import Dataset

LEAST, MOST = 16, 32  # images of a sheet
TRIED = 40  # images of one class that are compared
EASY = 25  # labels up to which a picture is read at a glance
SMALL = 12.0  # pixels: an object below that shows nothing


@dataclass(frozen=True, slots=True)
class Choice:
    """Rows of the images to show, and for each class the rows of annotations that show it."""

    images: list[int]
    objects: list[list[int]]


def choose(dataset: Dataset, files: Sequence[ImageFile], *, objects: int) -> Choice:
    """Chooses images and, for each class, up to `objects` annotations; the same dataset gives the same choice."""
    usable = np.array([file.problem is None and bool(file.width) for file in files], dtype=bool)
    usable &= dataset.image_labeled
    keep = dataset.trained & usable[dataset.annotation_image]
    drawn = _shuffled(dataset.image_ids)
    return Choice(_images(dataset, keep, usable, drawn), _objects(dataset, keep, drawn, objects))


def _images(dataset: Dataset, keep: np.ndarray, usable: np.ndarray, drawn: np.ndarray) -> list[int]:
    width = max(1, len(dataset.classes))
    pairs = np.unique(dataset.annotation_image[keep] * width + dataset.annotation_class[keep])
    rows, classes = np.divmod(pairs, width)
    labels = np.bincount(dataset.annotation_image[keep], minlength=len(usable))
    starts = np.searchsorted(rows, np.arange(len(usable) + 1))
    by_class = np.argsort(classes, kind="stable")
    ends = np.searchsorted(classes[by_class], np.arange(width + 1))
    missing = set(np.unique(classes).tolist())
    chosen: list[int] = []
    for class_ in sorted(missing, key=lambda index: (ends[index + 1] - ends[index], index)):
        if class_ not in missing or len(chosen) >= MOST - 1:
            continue
        holders = rows[by_class[ends[class_] : ends[class_ + 1]]]
        holders = holders[np.argsort(drawn[holders], kind="stable")][:TRIED].tolist()
        shown = {row: set(classes[starts[row] : starts[row + 1]].tolist()) for row in holders}
        best = max(holders, key=lambda row: len(shown[row] & missing) / (1 + max(0, labels[row] - EASY) / EASY))
        chosen.append(best)
        missing -= shown[best]
    for group, amount in ((np.flatnonzero(labels > 0), LEAST - 1), (np.flatnonzero(usable & (labels == 0)), LEAST)):
        # One image without any label, where there is one: that it is meant so is worth a look.
        rest = group[~np.isin(group, chosen)]
        rest = rest[np.lexsort((drawn[rest], labels[rest] > EASY))]
        limit = amount if amount < LEAST or not chosen else len(chosen) + 1
        chosen += rest[: max(0, limit - len(chosen))].tolist()
    rest = np.flatnonzero(usable & (labels > 0))
    rest = rest[~np.isin(rest, chosen)]
    chosen += rest[np.argsort(drawn[rest], kind="stable")][: max(0, LEAST - len(chosen))].tolist()
    return sorted(chosen)


def _objects(dataset: Dataset, keep: np.ndarray, drawn: np.ndarray, amount: int) -> list[list[int]]:
    found: list[list[int]] = []
    rows = np.flatnonzero(keep)
    # One object of an image before a second one: by how many of its class the image has shown already.
    classes, images = dataset.annotation_class[rows], dataset.annotation_image[rows]
    with np.errstate(invalid="ignore"):
        tiny = dataset.boxes[rows, 2:].min(axis=1) < SMALL
    order = np.lexsort((rows, drawn[images], classes))
    rows, classes, images, tiny = rows[order], classes[order], images[order], tiny[order]
    fresh = np.diff(images * max(1, len(dataset.classes)) + classes, prepend=-1) != 0
    order = np.lexsort((drawn[images], ~fresh, tiny, classes))
    ends = np.searchsorted(classes[order], np.arange(len(dataset.classes) + 1))
    for index in range(len(dataset.classes)):
        found.append(rows[order[ends[index] : ends[index + 1]]][:amount].tolist())
    return found


def _shuffled(ids: np.ndarray) -> np.ndarray:
    """Gives each id a number without order that depends on it alone."""
    mixed = (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(31)
    return mixed * np.uint64(0xBF58476D1CE4E5B9)
