"""Compares some pixels of written label maps with the dataset, object by object in plain steps."""

from collections.abc import Mapping

import numpy as np

from steps.convert.dataset import Dataset, Ints
from steps.convert.write.inside import grid, near, on_mask, rings_within, within
from steps.convert.write.png import IGNORE, Pixels
from steps.convert.write.proof import ProofFailed

LOOKED_AT = 50  # images of each part
EACH = 8  # pixels along either side
EDGE = 0.01  # pixels: nearer to an outline it is a matter of rounding
APART = 1.5  # times as large as another object: which of the two lies on top leaves no doubt


def spot_mask(dataset: Dataset, row: int, rows: Ints, values: Pixels, *, background: int) -> None:
    """Raises ProofFailed where a pixel has a class that none of the objects `rows` of image `row` has there."""
    height, width = values.shape
    points = grid(np.zeros(2), np.array([width, height], dtype=float), each=EACH)
    x, y = np.floor(points).astype(np.int64).T
    found = values[y, x].astype(np.int64)
    best = np.full(len(points), np.inf)  # area of the smallest object on each
    meant = np.full(len(points), background)
    doubt = np.zeros(len(points), dtype=bool)
    for at in rows.tolist():
        rings, rle = rings_within(dataset, at), dataset.rles.get(at)
        held = within(rings, points)
        size = sum(abs(float(r[:, 0] @ np.roll(r[:, 1], -1) - r[:, 1] @ np.roll(r[:, 0], -1))) / 2 for r in rings)
        doubt |= near(rings, points, reach=EDGE)
        if rle is not None:
            held, size = held | on_mask(rle, points), size + float(rle.counts[1::2].sum())
        if dataset.annotation_crowd[at]:
            size += 1e18  # crowds lie below all else
        value = IGNORE if dataset.annotation_crowd[at] else int(dataset.annotation_class[at])
        clash = held & np.isfinite(best) & (meant != value)
        doubt |= clash & (np.maximum(best, size) < APART * np.minimum(best, size) + 2)
        over = held & (size < best)
        best[over], meant[over] = size, value
    wrong = ~doubt & (found != meant)
    if wrong.any():
        place = int(wrong.argmax())
        raise ProofFailed(
            f"in the mask of image {dataset.image_ids[row]} the pixel x {x[place]}, y {y[place]} was meant as "
            f"{meant[place]}, it is {found[place]}"
        )


def spot_own_mask(dataset: Dataset, row: int, source: Pixels, values: Pixels, *, background: int) -> None:
    """The same for an image that has a mask file of its own, whose values are category ids."""
    index: Mapping[int, int] = {c.id: background if c.index is None else c.index for c in dataset.categories}
    for value in np.unique(source).tolist():
        there = np.unique(values[source == value]).tolist()
        if there != [index.get(value, IGNORE) if value != IGNORE else IGNORE]:
            raise ProofFailed(f"in the mask of image {dataset.image_ids[row]} the value {value} became {there}")
