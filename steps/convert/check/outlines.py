"""Judges polygons and run-length masks: too few points, outside the image, of no number, without area."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steps.convert.check.boxes import CLIP, bounds
from steps.convert.check.telling import Findings
from steps.convert.dataset import Bools, Dataset, Floats, Ints, Outlines, Rle
from steps.convert.problems import Level
from steps.convert.tasks import OUTLINED

FLAT = 1e-6  # square pixels
THIN = 0.5e-6  # of the image's side: with the six decimals of a YOLO label it is none
CHUNK = 1 << 18  # points that are judged at once: all of a large dataset would fill the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class RingFlaws:
    """What is wrong with each ring (masks over all rings), and the annotation each belongs to."""

    owner: Ints
    short: Bools
    not_finite: Bools
    outside: Bools  # by more than CLIP
    flat: Bools
    over: Bools  # out by no more than CLIP: to be clipped, nothing wrong

    @property
    def bad(self) -> Bools:
        """Marks the rings with anything wrong."""
        return self.short | self.not_finite | self.outside | self.flat


def trains_on_outlines(dataset: Dataset) -> bool:
    """Whether the task needs outlines: a semantic one does where there are no mask files."""
    return dataset.task in OUTLINED or (dataset.task == "semantic_segmentation" and dataset.image_masks is None)


def judge_rings(dataset: Dataset, outlines: Outlines) -> RingFlaws:
    """Finds the flaws of all polygons, piece by piece."""
    first = outlines.first_point
    rings = len(first) - 1
    owner = np.repeat(np.arange(len(outlines.first_ring) - 1), np.diff(outlines.first_ring))
    sizes = bounds(dataset)
    beyond, areas, finite = np.zeros(rings), np.zeros(rings), np.ones(rings, dtype=bool)
    thin = np.zeros(rings, dtype=bool)
    for begin, end in _pieces(first):
        points = outlines.points[first[begin] : first[end]]
        local = first[begin : end + 1] - first[begin]
        filled = np.diff(local) > 0
        starts = local[:-1][filled]
        if not len(starts):
            continue
        low, high = _reach(points, starts)
        limits = sizes[owner[begin:end]]
        with np.errstate(invalid="ignore"):
            out = np.maximum(-low, high - limits[filled]).max(axis=1)
            # The least or the largest is finite only where every part is: infinities and NaN stay visible.
            finite[begin:end][filled] = (np.isfinite(low) & np.isfinite(high)).all(axis=1)
            inner = np.minimum(high, limits[filled]) - np.maximum(low, 0)
            thin[begin:end][filled] = (inner < np.where(np.isfinite(limits), THIN * limits, 0)[filled]).any(axis=1)
            if not out.max() <= 0:
                points = np.clip(points, 0, np.repeat(limits, np.diff(local), axis=0))
            areas[begin:end] = ring_areas(points, local)
        beyond[begin:end][filled] = out
    short = np.diff(first) < 3
    good = finite & ~short
    outside = good & (beyond > CLIP)
    return RingFlaws(
        owner=owner,
        short=short,
        not_finite=~finite,
        outside=outside,
        flat=good & ~outside & ((areas <= FLAT) | thin),
        over=good & ~outside & (beyond > 0),
    )


def _reach(points: Floats, starts: Ints) -> tuple[Floats, Floats]:
    """Gives the least and the largest x and y of each ring."""
    # One column after the other: along a table's rows numpy reduces many times slower.
    columns = [np.ascontiguousarray(column) for column in points.T]
    low = np.stack([np.minimum.reduceat(column, starts) for column in columns], axis=1)
    high = np.stack([np.maximum.reduceat(column, starts) for column in columns], axis=1)
    return low, high


def _pieces(first_point: Ints) -> Iterator[tuple[int, int]]:
    """Cuts the rings into runs of about CHUNK points."""
    rings = len(first_point) - 1
    begin = 0
    while begin < rings:
        end = int(np.searchsorted(first_point, first_point[begin] + CHUNK, side="right")) - 1
        end = min(rings, max(begin + 1, end))
        yield begin, end
        begin = end


def clip_rings(dataset: Dataset, outlines: Outlines, rings: Bools) -> Outlines:
    """Gives the outlines with the points of the marked rings moved into their images; the others are shared."""
    if not rings.any():
        return outlines
    points = outlines.points.copy()
    owner = np.repeat(np.arange(len(outlines.first_ring) - 1), np.diff(outlines.first_ring))
    sizes = bounds(dataset)
    for ring in np.flatnonzero(rings).tolist():
        part = slice(outlines.first_point[ring], outlines.first_point[ring + 1])
        points[part] = np.clip(points[part], 0, sizes[owner[ring]])
    return Outlines(points=points, first_point=outlines.first_point, first_ring=outlines.first_ring)


def ring_areas(points: Floats, first_point: Ints) -> Floats:
    """Gives the area of each ring in pixels (shoelace); 0 for a ring without points."""
    counts = np.diff(first_point)
    areas = np.zeros(len(counts))
    if not len(points):
        return areas
    filled = counts > 0
    starts = first_point[:-1][filled]
    with np.errstate(invalid="ignore"):
        # From each ring's own first point: far from the origin the products would lose what matters.
        x, y = (column - np.repeat(column[starts], counts[filled]) for column in points.T)
        cross = np.zeros(len(points))
        cross[:-1] = x[:-1] * y[1:] - x[1:] * y[:-1]
        cross[first_point[1:][filled] - 1] = 0  # home to the first point, where both are 0
        areas[filled] = np.abs(np.add.reduceat(cross, starts)) / 2
    return areas


def tell_outlines(findings: Findings, *, level: Level = "error", needed: bool = True) -> Outlines | None:
    """Adds what is wrong with polygons and masks; gives the polygons with what sticks out by a pixel clipped."""
    dataset = findings.dataset
    kept = (dataset.annotation_class >= 0) & ~dataset.annotation_crowd
    outlined = np.zeros(len(dataset.annotation_ids), dtype=bool)
    outlined[list(dataset.rles)] = True
    outlines = dataset.outlines
    if outlines is not None:
        flaws = judge_rings(dataset, outlines)
        outlined |= np.diff(outlines.first_ring) > 0
        draw = "draw the outline again, or drop it"
        for mask, code, message, cure in (
            (flaws.short, "polygon_short", "a polygon has fewer than 3 points", draw),
            (flaws.not_finite, "polygon_not_finite", "a polygon holds NaN or infinity", draw),
            (flaws.outside, "polygon_outside", "a polygon leaves the image by more than 1 px",
             "correct the outline or the image size"),
            (flaws.flat, "polygon_flat", "a polygon encloses no area", draw),
        ):  # fmt: skip
            marked = np.zeros(len(kept), dtype=bool)
            marked[flaws.owner[mask]] = True
            findings.annotations(marked & kept, code, message, cure, level=level)
        outlines = clip_rings(dataset, outlines, flaws.over)
    _tell_masks(findings, level)
    if needed:
        cure = "outline the object, or drop the annotation"
        findings.annotations(kept & ~outlined, "outline_missing", "the annotation has no outline", cure, level=level)
    return outlines


def mask_flaw(rle: Rle, width: int, height: int) -> tuple[str, str, str] | None:
    """Says what is wrong with a run-length mask for an image of a size: code, message, cure."""
    cure = "write the mask again for this image, or drop the annotation"
    if (rle.width, rle.height) != (width, height):
        return "mask_size", f"the mask is {rle.width}×{rle.height} px, its image {width}×{height} px", cure
    if (rle.counts < 0).any() or int(rle.counts.sum()) != width * height:
        total = int(rle.counts.sum())
        return "mask_broken", f"the runs of the mask cover {total} pixels, the image has {width * height}", cure
    if not rle.counts[1::2].any():
        return "mask_empty", "the mask marks no pixel", "draw it again, or drop the annotation"
    return None


def _tell_masks(findings: Findings, level: Level) -> None:
    dataset = findings.dataset
    rows = sorted(dataset.rles)
    sizes = dataset.image_sizes[dataset.annotation_image[rows]].tolist() if rows else []
    flaws: dict[str, dict[int, tuple[str, str]]] = {}
    for at, (width, height) in zip(rows, sizes, strict=True):
        flaw = mask_flaw(dataset.rles[at], width, height) if width > 0 and height > 0 else None
        if flaw:
            flaws.setdefault(flaw[0], {})[at] = flaw[1:]
    for code, told in flaws.items():
        marked = np.zeros(len(dataset.annotation_ids), dtype=bool)
        marked[list(told)] = True
        cure = next(iter(told.values()))[1]
        findings.annotations(
            marked & (dataset.annotation_class >= 0), code, lambda at, t=told: t[at][0], cure, level=level
        )
