"""Paints the outlines of images as label maps: the value of a pixel is the class index of the smallest object on it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steps.convert.dataset import Dataset, Ints
from steps.convert.write.digits import ranges
from steps.convert.write.png import IGNORE, Pixels
from steps.convert.write.runs import pixels
from steps.convert.write.selection import Labels, chunks
from steps.convert.write.spans import Spans, fill, paint

IMAGES, POINTS = 64, 1 << 16  # at once
CORNERS = 3  # points that a ring needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """One image's label map, which of its annotations have pixels at all, and which of them can still be seen."""

    values: Pixels
    drawn: np.ndarray
    seen: np.ndarray


def painted(dataset: Dataset, rows: Ints, labels: Labels, *, background: int) -> Iterator[Painted]:
    """Paints image after image: crowds below as 255, then objects by descending area; ties as in the document."""
    weight = np.ones(len(labels.rows), dtype=np.int64)
    if dataset.outlines is not None:
        outlines = dataset.outlines
        reach = outlines.first_point[outlines.first_ring]
        weight += np.diff(reach)[labels.rows]
    for start, stop in chunks(labels.first, images=IMAGES, weight=weight, limit=POINTS):
        first = labels.first[start : stop + 1] - labels.first[start]
        chosen = labels.rows[labels.first[start] : labels.first[stop]]
        spans = _spans(dataset, chosen)
        bounds = np.searchsorted(spans.ring, first)
        areas = np.bincount(spans.ring, weights=spans.right - spans.left, minlength=len(chosen)).astype(np.int64)
        for at in range(stop - start):
            own = slice(int(first[at]), int(first[at + 1]))
            here = slice(int(bounds[at]), int(bounds[at + 1]))
            some = Spans(
                ring=spans.ring[here] - first[at], row=spans.row[here], left=spans.left[here], right=spans.right[here]
            )
            width, height = dataset.image_sizes[rows[start + at]].tolist()
            yield _paint(dataset, chosen[own], areas[own], some, (height, width), background)


def _paint(dataset: Dataset, rows: Ints, areas: Ints, spans: Spans, shape: tuple[int, int], background: int) -> Painted:
    crowd = dataset.annotation_crowd[rows]
    order = np.lexsort((-areas, ~crowd))
    rank = np.empty(len(rows), dtype=np.int64)
    rank[order] = np.arange(1, len(rows) + 1)
    canvas = np.zeros(shape, dtype=np.uint16 if len(rows) < 1 << 16 else np.uint32)
    ranks = rank[spans.ring]
    by_rank = np.argsort(ranks, kind="stable")
    paint(
        Spans(ring=ranks[by_rank], row=spans.row[by_rank], left=spans.left[by_rank], right=spans.right[by_rank]),
        canvas,
        np.arange(len(rows) + 1),
    )
    values = np.full(len(rows) + 1, background, dtype=np.uint8)
    values[rank] = np.where(crowd, IGNORE, dataset.annotation_class[rows])
    met = np.zeros(len(rows) + 1, dtype=bool)
    met[canvas.reshape(-1)] = True
    return Painted(values=values[canvas], drawn=areas > 0, seen=met[rank])


def _spans(dataset: Dataset, rows: Ints) -> Spans:
    """Gives the pixels of annotations as runs; `ring` is the place in `rows`, in ascending order."""
    found = []
    if dataset.outlines is not None:
        outlines = dataset.outlines
        counts = outlines.first_ring[rows + 1] - outlines.first_ring[rows]
        rings = ranges(outlines.first_ring[rows], counts)
        owner = np.repeat(np.arange(len(rows)), counts)
        lengths = outlines.first_point[rings + 1] - outlines.first_point[rings]
        good = lengths >= CORNERS
        rings, owner, lengths = rings[good], owner[good], lengths[good]
        points = outlines.points[ranges(outlines.first_point[rings], lengths)]
        first = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        spans = fill(points, first, dataset.image_sizes[dataset.annotation_image[rows[owner]]])
        found.append((owner[spans.ring], spans.row, spans.left, spans.right))
    for place, row in enumerate(rows.tolist()):
        if row in dataset.rles:
            found.append(_runs(place, pixels(dataset.rles[row])))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)] if found else [np.zeros(0, np.int64)] * 4
    order = np.argsort(columns[0], kind="stable")
    ring, row, left, right = (column[order] for column in columns)
    return Spans(ring=ring, row=row, left=left, right=right)


def _runs(place: int, mask: np.ndarray) -> tuple[Ints, Ints, Ints, Ints]:
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    row, left = np.nonzero(edges > 0)
    _, right = np.nonzero(edges < 0)
    return np.full(len(row), place, dtype=np.int64), row, left, right
