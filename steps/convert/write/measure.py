"""Measures what an annotation does not declare: the box around its outline, and its area."""

import itertools

import numpy as np

from steps.convert.dataset import Dataset, Floats
from steps.convert.write.runs import area, extent

Box = tuple[float, float, float, float]


def measured(dataset: Dataset, row: int) -> tuple[Box, float]:
    """Gives box (x, y, width, height) and area in pixels, of the mask, else of the polygons, else of the box."""
    if rle := dataset.rles.get(row):
        return extent(rle), float(area(rle))
    rings = rings_of(dataset, row)
    if rings:
        points = np.concatenate(rings)
        (x, y), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return (x, y, right - x, bottom - y), float(sum(abs(signed_area(ring)) for ring in rings))
    x, y, width, height = dataset.boxes[row].tolist()
    return (x, y, width, height), width * height


def rings_of(dataset: Dataset, row: int) -> list[Floats]:
    """Gives the polygons of an annotation, as arrays of points."""
    outlines = dataset.outlines
    if outlines is None:
        return []
    first, last = outlines.first_ring[row], outlines.first_ring[row + 1]
    bounds = outlines.first_point[first : last + 1].tolist()
    return [outlines.points[start:stop] for start, stop in itertools.pairwise(bounds) if stop > start]


def signed_area(ring: Floats) -> float:
    """Gives a ring's area in pixels, negative where it runs the other way."""
    near = ring - ring[0]
    x, y = near[:, 0], near[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
