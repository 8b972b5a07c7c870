"""Repairs boxes, outlines, masks, keypoints and ids: drops what shows nothing, clips what sticks out."""

from dataclasses import replace

import numpy as np

from steps.convert.check.boxes import bounds, judge_boxes
from steps.convert.check.outlines import clip_rings, judge_rings, mask_flaw, trains_on_outlines
from steps.convert.check.repair import Repair
from steps.convert.check.repeats import identical, overlapping, repeated
from steps.convert.check.take import take, take_rings
from steps.convert.tasks import BOXED, OUTLINED

SAME = 0.9  # overlap from which the later of two boxes of one class is dropped


def fix_shapes(repair: Repair) -> None:
    """Repairs the annotations of a dataset whose images are settled."""
    _ids(repair)
    _rings(repair)
    _masks(repair)
    _points(repair)
    if repair.dataset.task in BOXED:
        _missing_boxes(repair)
        _boxes(repair)
    _again(repair)


def _ids(repair: Repair) -> None:
    dataset = repair.dataset
    ids = dataset.annotation_ids.copy()
    first = np.zeros(len(ids), dtype=bool)
    first[np.unique(ids, return_index=True)[1]] = True
    wrong = ~first | (ids < 0)
    if wrong.any():
        ids[wrong] = np.arange(1, int(wrong.sum()) + 1) + max(0, int(ids.max()))
        # What was read with a used id was told by the reader: here it only gets its number.
        repair.dataset = replace(dataset, annotation_ids=ids)


def _drop(repair: Repair, mask: np.ndarray, code: str, what: str) -> None:
    mask = mask & _real(repair)
    if mask.any():
        repair.did_rows(code, what, mask)
        repair.dataset = take(repair.dataset, annotations=~mask)


def _real(repair: Repair) -> np.ndarray:
    dataset = repair.dataset
    return (dataset.annotation_class >= 0) & ~dataset.annotation_crowd


def _rings(repair: Repair) -> None:
    dataset, outlines = repair.dataset, repair.dataset.outlines
    if outlines is not None and len(outlines.first_point) > 1:
        flaws = judge_rings(dataset, outlines)
        repair.did_rows(
            "polygon_outside", "clipped polygons to their images", _owners(repair, flaws.owner[flaws.outside])
        )
        outlines = clip_rings(dataset, outlines, flaws.outside | flaws.over)
        clipped = replace(dataset, outlines=outlines)
        flaws = judge_rings(clipped, outlines)
        for mask, code, what in (
            (flaws.short, "polygon_short", "dropped polygons of fewer than 3 points"),
            (flaws.not_finite, "polygon_not_finite", "dropped polygons that hold NaN or infinity"),
            (flaws.flat, "polygon_flat", "dropped polygons that enclose no area"),
        ):
            repair.did_rows(code, what, _owners(repair, flaws.owner[mask]))
        repair.dataset = replace(dataset, outlines=take_rings(outlines, ~flaws.bad))
    if trains_on_outlines(dataset):
        _drop(repair, ~_outlined(repair), "outline_missing", "dropped annotations that have no outline (any more)")


def _owners(repair: Repair, rows: np.ndarray) -> np.ndarray:
    mask = np.zeros(len(repair.dataset.annotation_ids), dtype=bool)
    mask[rows] = True
    return mask


def _outlined(repair: Repair) -> np.ndarray:
    dataset = repair.dataset
    mask = np.zeros(len(dataset.annotation_ids), dtype=bool)
    mask[list(dataset.rles)] = True
    if dataset.outlines is not None:
        mask |= np.diff(dataset.outlines.first_ring) > 0
    return mask


def _masks(repair: Repair) -> None:
    dataset = repair.dataset
    flaws: dict[str, list[int]] = {}
    for at, rle in dataset.rles.items():
        width, height = dataset.image_sizes[dataset.annotation_image[at]].tolist()
        if flaw := mask_flaw(rle, width, height):
            flaws.setdefault(flaw[0], []).append(at)
    words = {
        "mask_size": "dropped masks that were made for another image size",
        "mask_broken": "dropped masks whose runs do not fit their image",
        "mask_empty": "dropped masks that mark no pixel",
    }
    every = _owners(repair, np.array([at for rows in flaws.values() for at in rows], dtype=np.int64))
    for code, rows in flaws.items():
        repair.did_rows(code, words[code], _owners(repair, np.array(rows)))
    if every.any():
        repair.dataset = take(dataset, annotations=~every)


def _points(repair: Repair) -> None:
    dataset, points = repair.dataset, repair.dataset.keypoints
    if points is None or not points.size:
        return
    given = ~np.isnan(points).all(axis=2)
    sizes = bounds(dataset)
    with np.errstate(invalid="ignore"):
        broken = given & ~np.isfinite(points).all(axis=2)
        unknown = given & ~broken & ~np.isin(points[:, :, 2], (0, 1, 2))
        beyond = ((points[:, :, :2] < -1) | (points[:, :, :2] > sizes[:, None, :] + 1)).any(axis=2)
        outside = given & ~broken & (points[:, :, 2] > 0) & beyond
    for mask, code, what in (
        (broken, "keypoint_not_finite", "marked keypoints that hold NaN or infinity as unlabeled"),
        (unknown, "keypoint_visibility", "marked keypoints of unknown visibility as unlabeled"),
        (outside, "keypoint_outside", "marked keypoints outside their image as unlabeled"),
    ):
        repair.did_rows(code, what, mask.any(axis=1))
    points = points.copy()
    points[broken | unknown | outside] = 0
    labeled = given & np.isfinite(points).all(axis=2) & (points[:, :, 2] > 0)
    limits = np.broadcast_to(sizes[:, None, :], (*labeled.shape, 2))
    points[:, :, :2][labeled] = np.clip(points[:, :, :2][labeled], 0, limits[labeled])
    repair.dataset = replace(dataset, keypoints=points)


def _missing_boxes(repair: Repair) -> None:
    """Gives annotations without a box the one that their polygons span."""
    dataset, outlines = repair.dataset, repair.dataset.outlines
    absent = np.isnan(dataset.boxes).all(axis=1) & _real(repair)
    if outlines is None or not absent.any():
        return
    boxes = dataset.boxes.copy()
    made = np.zeros(len(boxes), dtype=bool)
    for at in np.flatnonzero(absent & (np.diff(outlines.first_ring) > 0)).tolist():
        rings = outlines.first_ring[at], outlines.first_ring[at + 1]
        points = outlines.points[outlines.first_point[rings[0]] : outlines.first_point[rings[1]]]
        low, high = points.min(axis=0), points.max(axis=0)
        boxes[at], made[at] = [*low, *(high - low)], True
    repair.dataset = replace(dataset, boxes=boxes)
    repair.did_rows("box_missing", "gave annotations without a box the one that their polygons span", made)


def _boxes(repair: Repair) -> None:
    flaws = judge_boxes(repair.dataset)
    real = _real(repair)
    outlined = np.isnan(repair.dataset.boxes).all() and repair.dataset.task in OUTLINED
    clipped = flaws.outside & ~flaws.gone & real
    repair.did_rows("box_outside", "clipped boxes to their images", clipped)
    boxes = np.where((clipped | (flaws.good & real))[:, None], flaws.clipped, repair.dataset.boxes)
    repair.dataset = replace(repair.dataset, boxes=boxes)
    bad = flaws.not_finite | flaws.empty | flaws.gone | (flaws.absent & (not outlined))
    for mask, code, what in (
        (flaws.empty, "box_empty", "dropped boxes without area"),
        (flaws.not_finite, "box_not_finite", "dropped boxes that hold NaN or infinity"),
        (flaws.gone, "box_outside", "dropped boxes that lie wholly outside their image"),
        (flaws.absent & (not outlined), "box_missing", "dropped annotations without a box"),
    ):
        repair.did_rows(code, what, mask & real)
    if (bad & real).any():
        repair.dataset = take(repair.dataset, annotations=~(bad & real))


def _again(repair: Repair) -> None:
    dataset = repair.dataset
    if dataset.task not in BOXED or np.isnan(dataset.boxes).all():
        _drop(repair, repeated(dataset), "annotation_repeated", "dropped labels that stood there twice")
        return
    first, second, _ = overlapping(dataset, dataset.boxes, _real(repair) & judge_boxes(dataset).good, share=SAME)
    same, near = np.zeros(len(dataset.boxes), dtype=bool), np.zeros(len(dataset.boxes), dtype=bool)
    gone: set[int] = set()
    for a, b in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        # Of a chain of three the middle one covers for the third only while it stays itself.
        if a in gone or b in gone:
            continue
        gone.add(b)
        (same if identical(dataset, a, b) else near)[b] = True
    if dataset.task != "object_detection":
        near[:] = False  # their outlines or points may tell them apart
    repair.did_rows("annotation_repeated", "dropped annotations that stood there twice", same)
    repair.did_rows("box_repeated", f"dropped boxes that cover another of their class by {SAME:.0%} or more", near)
    if (same | near).any():
        repair.dataset = take(dataset, annotations=~(same | near))
