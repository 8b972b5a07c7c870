"""Counts a dataset for people: classes by part, image sizes, box sizes, formats and bytes."""

from collections import Counter
from typing import Any

import numpy as np

from steps.convert.check.inspection import Inspection
from steps.convert.dataset import Dataset
from steps.convert.facts import counts, split_facts
from steps.convert.split.request import PARTS
from steps.convert.split.resolve import Split
from steps.convert.tasks import BOXED

COMMON = 10  # image sizes that are named
SIDES = (8.0, 32.0, 96.0)  # pixels: tiny, small, medium, large, by the root of the box's area
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
STEPS = 20  # columns of the histogram of relative box sizes


def numbers(found: Inspection) -> dict[str, Any]:
    """Gives the facts of an inspected dataset as JSON data."""
    dataset = found.dataset
    return {
        "layout": found.layout,
        "task": found.task,
        "classes": class_table(dataset, found.split) if dataset else [],
        "counts": counts(dataset) if dataset else {},
        "image_sizes": _image_sizes(found),
        "box_sizes": _box_sizes(dataset) if dataset else {},
        "formats": dict(Counter(file.format for file in found.files if file.format).most_common()),
        "bytes": sum(file.size for file in found.files),
        "split": split_facts(found.split) if found.split else None,
        "dataset_version_hash": found.version_hash,
    }


def class_table(dataset: Dataset, split: Split | None) -> list[dict[str, Any]]:
    """Gives a row for each class: annotations and images, in all and (`parts`, `part_images`) by part."""
    amount = len(dataset.classes)
    keep = dataset.trained
    rows, classes = dataset.annotation_image[keep], dataset.annotation_class[keep]
    # One number for each (image, class) that occurs: counting images needs each once.
    pairs = np.unique(rows * max(1, amount) + classes)
    pair_rows, pair_classes = np.divmod(pairs, max(1, amount))
    part_of = part_rows(dataset, split)

    def by_class(values: np.ndarray, mask: np.ndarray | None = None) -> list[int]:
        return np.bincount(values if mask is None else values[mask], minlength=amount).tolist()

    annotations, images = by_class(classes), by_class(pair_classes)
    in_part = {part: by_class(classes, part_of[rows] == n) for n, part in enumerate(PARTS)}
    images_in = {part: by_class(pair_classes, part_of[pair_rows] == n) for n, part in enumerate(PARTS)}
    return [
        {
            "index": category.index,
            "id": category.id,
            "name": category.name,
            "annotations": annotations[at],
            "images": images[at],
            "parts": {part: in_part[part][at] for part in PARTS},
            "part_images": {part: images_in[part][at] for part in PARTS},
        }
        for at, category in enumerate(dataset.classes)
    ]


def part_rows(dataset: Dataset, split: Split | None) -> np.ndarray:
    """Gives each image row its part: 0 train, 1 val, 2 test, -1 none."""
    part_of = np.full(len(dataset.image_ids), -1, dtype=np.int8)
    if split:
        for number, part in enumerate(PARTS):
            ids = np.array(split.parts()[part], dtype=np.int64)
            part_of[np.isin(dataset.image_ids, ids)] = number
    return part_of


def _image_sizes(found: Inspection) -> dict[str, Any]:
    sizes = np.array([file.shown for file in found.files if file.width], dtype=np.int64).reshape(-1, 2)
    if not len(sizes):
        return {}
    areas = sizes.prod(axis=1)
    common = Counter(map(tuple, sizes.tolist())).most_common()
    return {
        "smallest": sizes[areas.argmin()].tolist(),
        "median": np.median(sizes, axis=0).astype(int).tolist(),
        "largest": sizes[areas.argmax()].tolist(),
        "different": len(common),
        "common": [{"width": w, "height": h, "images": n} for (w, h), n in common[:COMMON]],
    }


def _box_sizes(dataset: Dataset) -> dict[str, Any]:
    keep = dataset.trained & np.isfinite(dataset.boxes).all(axis=1)
    if dataset.task not in BOXED or not keep.any():
        return {}
    sides = dataset.boxes[keep, 2:]
    sizes = dataset.image_sizes[dataset.annotation_image[keep]]
    good = (sides > 0).all(axis=1) & (sizes > 0).all(axis=1)
    sides, sizes = sides[good], sizes[good]
    if not len(sides):
        return {}
    relative = sides / sizes
    root = np.sqrt(sides.prod(axis=1))
    groups = np.bincount(np.searchsorted(SIDES, root, side="right"), minlength=4).tolist()
    share = np.clip(np.sqrt(relative.prod(axis=1)), 0, 1)
    histogram = np.histogram(share, bins=STEPS, range=(0, 1))[0].tolist()

    def quantiles(values: np.ndarray) -> dict[str, float]:
        found = np.quantile(values, QUANTILES)
        return {f"p{q * 100:.0f}": round(float(v), 5) for q, v in zip(QUANTILES, found, strict=True)}

    return {
        "pixels": dict(zip(("tiny", "small", "medium", "large"), groups, strict=True)),
        "width": quantiles(relative[:, 0]),
        "height": quantiles(relative[:, 1]),
        "share": quantiles(share),
        "histogram": histogram,
    }
