"""Compares some objects of a written COCO or DICE document with the dataset in plain steps, and all of its classes."""

import itertools
import json
from typing import Any

import numpy as np

from steps.convert.dataset import BACKGROUND_NAMES, Dataset
from steps.convert.write.annotations import Back, RleBack
from steps.convert.write.proof import ProofFailed

Names = dict[int, str]


def spot_categories(dataset: Dataset, text: bytes, *, by_index: bool) -> Names:
    """Gives the class names by the ids as they were written; raises ProofFailed where they are not the dataset's."""
    written = {one["id"]: one["name"] for one in json.loads(text)}
    meant = {(c.index if by_index else c.id): c.name for c in dataset.categories if c.index is not None}
    named = {id_: name for id_, name in written.items() if name not in BACKGROUND_NAMES}
    if named != meant:
        raise ProofFailed(f"the classes {meant} were meant, {named} are written")
    return written


def spot_object(dataset: Dataset, row: int, one: Back, names: Names) -> None:
    """Raises ProofFailed where a written object does not say what an annotation row says."""
    index = int(dataset.annotation_class[row])
    name = next((c.name for c in dataset.categories if c.index == index), None) if index >= 0 else None
    written = names.get(one.category_id, "")
    same = (
        (written == name if name is not None else written in BACKGROUND_NAMES)
        and one.image_id == int(dataset.image_ids[dataset.annotation_image[row]])
        and bool(one.iscrowd) == bool(dataset.annotation_crowd[row])
        and _box(dataset, row, one)
        and _shape(dataset, row, one.segmentation)
        and _points(dataset, row, one.keypoints or [])
    )
    if not same:
        raise ProofFailed(f"the written object {one.id} does not say what annotation {dataset.annotation_ids[row]} has")


def _box(dataset: Dataset, row: int, one: Back) -> bool:
    box = dataset.boxes[row].tolist()
    return not np.isfinite(box).all() or list(one.bbox or ()) == box


def _shape(dataset: Dataset, row: int, written: Any) -> bool:
    outlines = dataset.outlines
    first, last = (0, 0) if outlines is None else outlines.first_ring[row : row + 2].tolist()
    if outlines is not None and last > first:
        bounds = outlines.first_point[first : last + 1].tolist()
        return bool(written == [outlines.points[a:b].reshape(-1).tolist() for a, b in itertools.pairwise(bounds)])
    rle = dataset.rles.get(row)
    if rle is None:
        return written is None
    return (
        isinstance(written, RleBack)
        and [*written.size] == [rle.height, rle.width]
        and written.counts == rle.counts.tolist()
    )


def _points(dataset: Dataset, row: int, written: list[float]) -> bool:
    given = np.zeros((0, 3)) if dataset.keypoints is None else np.nan_to_num(dataset.keypoints[row])
    given = given.reshape(-1)
    back = np.array([*written, *[0.0] * (len(given) - len(written))])
    return len(back) == len(given) and bool((back == given).all())
