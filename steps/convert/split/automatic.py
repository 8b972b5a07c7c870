"""Prepares images for the automatic split: which classes each shows, and which are kept together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from steps.convert.dataset import Dataset, Ints
from steps.convert.split.assign import Units, assign
from steps.convert.split.request import PARTS, SplitRequest


def automatic(dataset: Dataset, ids: Sequence[int], request: SplitRequest) -> dict[int, str]:
    """Maps each of the ids to train, val or test."""
    if not ids:
        return {}
    order = np.argsort(dataset.image_ids, kind="stable")
    chosen = np.array(ids, dtype=np.int64)
    rows = order[np.searchsorted(dataset.image_ids[order], chosen)]
    if request.group_by:
        keys, unit_of = _groups(dataset, rows.tolist(), request.group_by)
    else:
        keys, unit_of = [f"i{id_}" for id_ in ids], np.arange(len(ids))
    first_id = np.full(len(keys), np.iinfo(np.int64).max)
    np.minimum.at(first_id, unit_of, chosen)
    unit_of_row = np.full(len(dataset.image_ids), -1, dtype=np.int64)
    unit_of_row[rows] = unit_of
    pair_unit, pair_class = _pairs(dataset, unit_of_row)
    units = Units(
        keys=keys,
        sizes=np.bincount(unit_of, minlength=len(keys)),
        first_id=first_id,
        pair_unit=pair_unit,
        pair_class=pair_class,
    )
    placed = assign(units, ratio=request.ratio, seed=request.seed, stratify=request.stratify)
    words = [PARTS[part] for part in placed[unit_of].tolist()]
    return dict(zip(ids, words, strict=True))


def group_name(image: Mapping[str, Any], attribute: str) -> str | None:
    """Gives the group that an image's attribute puts it into, None without one."""
    for holder in (image, image.get("attributes"), image.get("metadata")):
        if isinstance(holder, Mapping) and holder.get(attribute) is not None:
            return str(holder[attribute])
    return None


def _groups(dataset: Dataset, rows: list[int], attribute: str) -> tuple[list[str], Ints]:
    numbers: dict[str, int] = {}
    unit_of = []
    for row in rows:
        name = group_name(dataset.image_attributes[row], attribute) if dataset.image_attributes else None
        key = f"i{dataset.image_ids[row]}" if name is None else f"g{name}"
        unit_of.append(numbers.setdefault(key, len(numbers)))
    return list(numbers), np.array(unit_of, dtype=np.int64)


def _pairs(dataset: Dataset, unit_of_row: Ints) -> tuple[Ints, Ints]:
    """Gives which class stands in which unit; a table of all would not fit for many classes."""
    keep = dataset.trained
    units, classes = unit_of_row[dataset.annotation_image[keep]], dataset.annotation_class[keep]
    inside = units >= 0
    width = max(1, len(dataset.classes))
    pairs = np.sort(units[inside] * width + classes[inside])
    pairs = pairs[np.diff(pairs, prepend=-1) != 0]
    unit, class_ = np.divmod(pairs, width)
    return unit, class_
