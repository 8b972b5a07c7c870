"""Tells which shapes were cut at the edge of their image before anything was written: by a pixel at most."""

from typing import Any

import numpy as np

from steps.convert.dataset import Dataset, Floats, Ints
from steps.convert.write.proof import NAMED

PIECE = 1 << 20  # points compared at once
WHY = "they stuck out of the image by 1 px at most and are cut at its edge"


def clipped(before: Dataset, after: Dataset) -> dict[str, dict[str, Any]]:
    """Compares a dataset as it was read with what the check made of it; gives kinds as a proof tells changes."""
    rows: dict[str, Ints] = {}
    if before.boxes is not after.boxes:
        # Where a box is clipped by nothing, only the arithmetic may have moved its last digits.
        with np.errstate(invalid="ignore"):  # infinities, which the check tells
            moved = np.abs(np.nan_to_num(before.boxes - after.boxes)) > 1e-9 * np.maximum(1, np.abs(after.boxes))
        rows["boxes_clipped"] = np.flatnonzero(moved.any(axis=1))
    old, new = before.outlines, after.outlines
    if old is not None and new is not None and old is not new:
        points = _moved(old.points, new.points)
        rings = np.searchsorted(new.first_point, points, side="right") - 1
        rows["outlines_clipped"] = np.unique(np.searchsorted(new.first_ring, rings, side="right") - 1)
    if before.keypoints is not None and after.keypoints is not None and before.keypoints is not after.keypoints:
        differ = (before.keypoints != after.keypoints) & ~np.isnan(before.keypoints)
        rows["keypoints_clipped"] = np.flatnonzero(differ.any(axis=(1, 2)))
    return {
        kind: {"count": len(at), "unit": "annotations", "why": WHY, "ids": after.annotation_ids[at[:NAMED]].tolist()}
        for kind, at in rows.items()
        if len(at)
    }


def _moved(old: Floats, new: Floats) -> Ints:
    """Gives the points that differ, found piece by piece: both tables fill much of the memory already."""
    found = [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(old), PIECE):
        part = slice(start, start + PIECE)
        found.append(np.flatnonzero((old[part] != new[part]).any(axis=1)) + start)
    return np.concatenate(found)
