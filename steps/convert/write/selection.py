"""Tells which images and annotations of a dataset go into which part of a target, and in what order."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import NO_PART, Bools, Dataset, Ints
from steps.convert.split.request import PARTS
from steps.convert.split.resolve import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The parts of a split as rows of a dataset; train and val always stand, test where it has images."""

    rows: dict[str, Ints]  # image rows by part, in the order of the split
    image_part: npt.NDArray[np.int8]  # by image row: place among the parts, NO_PART for what no part has


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The annotations of one part: those of its image i are rows[first[i]] up to rows[first[i + 1]]."""

    rows: Ints
    first: Ints


def select(dataset: Dataset, split: Split) -> Selection:
    """Finds the rows of a split's images; raises ValueError for an id that the dataset does not have."""
    order = np.argsort(dataset.image_ids, kind="stable")
    ordered = dataset.image_ids[order]
    image_part = np.full(len(order), NO_PART, dtype=np.int8)
    rows: dict[str, Ints] = {}
    for place, part in enumerate(PARTS):
        ids = np.array(split.parts()[part], dtype=np.int64)
        if part == "test" and not len(ids):
            continue
        at = np.searchsorted(ordered, ids)
        if (at >= len(ordered)).any() or (ordered[at] != ids).any():
            raise ValueError(f"the split's {part} part names images that the dataset does not have")
        rows[part] = order[at]
        image_part[rows[part]] = place
    return Selection(rows=rows, image_part=image_part)


def everything(dataset: Dataset) -> Selection:
    """Takes the whole dataset as one part, `all`, in the order of the document."""
    count = len(dataset.image_ids)
    return Selection(rows={"all": np.arange(count)}, image_part=np.zeros(count, dtype=np.int8))


def labels_of(dataset: Dataset, rows: Ints, wanted: Bools) -> Labels:
    """Gives the wanted annotations of some images, image by image, in the order of the document."""
    position = np.full(len(dataset.image_ids), -1, dtype=np.int64)
    position[rows] = np.arange(len(rows))
    chosen = np.flatnonzero(wanted & (position[dataset.annotation_image] >= 0))
    places = position[dataset.annotation_image[chosen]]
    order = np.argsort(places, kind="stable")
    first = np.searchsorted(places[order], np.arange(len(rows) + 1))
    return Labels(rows=chosen[order], first=first)


def chunks(first: Ints, *, images: int, weight: Ints | None = None, limit: int = 0) -> Iterator[tuple[int, int]]:
    """Cuts a part into runs of at most `images` images whose weights (one each label) stay near `limit`."""
    start, count = 0, len(first) - 1
    running = None if weight is None else np.concatenate([[0], np.cumsum(weight)])
    while start < count:
        stop = min(start + images, count)
        if running is not None:
            reach = np.searchsorted(running[first[start : stop + 1]], running[first[start]] + limit, side="right") - 1
            stop = start + max(1, int(reach))
        yield start, stop
        start = stop
