"""Takes numbers that are none for not given where no task trains on them: areas, and the shapes of all but objects.

What a task trains on is judged elsewhere, as errors. Here a number that is none of a picture's is worth a warning: it
is left out, so that every reader of the dataset meets numbers only, and the conversion's record says so.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from steps.convert.check.outlines import trains_on_outlines
from steps.convert.check.take import take_rings
from steps.convert.check.telling import Findings
from steps.convert.dataset import Bools, Dataset
from steps.convert.problems import Problem
from steps.convert.tasks import BOXED
from steps.convert.write.proof import NAMED

CODE = "number_not_finite"
FAR = 1e9  # pixels: no picture reaches so far, and the arithmetic of areas goes astray
WHY = "it was NaN, infinity or beyond any image, and is taken as not given"


def settle(dataset: Dataset) -> tuple[Dataset, list[Problem], dict[str, dict[str, Any]]]:
    """Gives the dataset without such numbers, the warnings about them, and their kinds as a proof tells changes."""
    findings = Findings(dataset)
    changed: dict[str, dict[str, Any]] = {}

    def tell(kind: str, mask: Bools, message: str, cure: str) -> None:
        findings.annotations(
            mask, CODE, f"{message} is NaN, infinity or beyond any image: {cure}", "correct the number", level="warning"
        )
        ids = dataset.annotation_ids[np.flatnonzero(mask)[:NAMED]].tolist()
        changed[kind] = {"count": int(mask.sum()), "unit": "annotations", "why": WHY, "ids": ids}

    other = (dataset.annotation_class < 0) | dataset.annotation_crowd
    new: dict[str, Any] = {}
    if dataset.areas is not None and (bad := np.isinf(dataset.areas)).any():
        tell("areas_left_out", bad, "the area", "it is taken as not given")
        new["areas"] = np.where(bad, np.nan, dataset.areas)
    bad = ~(np.abs(dataset.boxes) < FAR).all(axis=1) & ~np.isnan(dataset.boxes).all(axis=1)
    if dataset.task in BOXED:
        bad &= other
    if bad.any():
        tell("boxes_left_out", bad, "a number of the box", "the box is taken as not given")
        new["boxes"] = np.where(bad[:, None], np.nan, dataset.boxes)
    new |= _outlines(dataset, other, tell) | _keypoints(dataset, other, tell)
    return (replace(dataset, **new) if new else dataset), findings.problems, changed


def _outlines(dataset: Dataset, other: Bools, tell: Any) -> dict[str, Any]:
    outlines = dataset.outlines
    if outlines is None or not len(outlines.points):
        return {}
    if outlines.points.min() > -FAR and outlines.points.max() < FAR:
        return {}
    owner = np.repeat(np.arange(len(other)), np.diff(outlines.first_ring))
    points = np.flatnonzero(~(np.abs(outlines.points) < FAR).all(axis=1))
    rings = np.zeros(len(owner), dtype=bool)
    rings[np.searchsorted(outlines.first_point, points, side="right") - 1] = True
    if trains_on_outlines(dataset):
        rings &= other[owner]
    if not rings.any():
        return {}
    bad = np.zeros(len(other), dtype=bool)
    bad[owner[rings]] = True
    tell("polygons_left_out", bad, "a number of a polygon", "the polygon is left out")
    return {"outlines": take_rings(outlines, ~rings)}


def _keypoints(dataset: Dataset, other: Bools, tell: Any) -> dict[str, Any]:
    points = dataset.keypoints
    if points is None:
        return {}
    broken = ~(np.abs(points) < FAR).all(axis=2) & ~np.isnan(points).all(axis=2)
    if dataset.task == "pose_estimation":
        broken &= other[:, None]
    if not broken.any():
        return {}
    tell("keypoints_left_out", broken.any(axis=1), "a number of a keypoint", "the point is taken as unlabeled")
    points = points.copy()
    points[broken] = 0
    return {"keypoints": points}
