"""Compares the two forms of a document that carries its annotations both flat and inside the images."""

import numpy as np

from steps.convert.dataset import Floats, Ints
from steps.convert.read.annotation_rows import AnnotationRows
from steps.convert.read.annotations import Annotations
from steps.convert.read.shapes import OutlineColumn

Form = tuple[Annotations, AnnotationRows]


def disagreement(flat: Form, nested: Form, *, images: Ints) -> int | None:
    """Gives the first of `images` (rows) whose annotations differ between the forms, None where all agree."""
    wanted = np.zeros(max(int(rows.max(initial=-1)) for rows in (images, flat[1].images, nested[1].images)) + 1, bool)
    wanted[images] = True
    tables = [_table(annotations, settled, wanted) for annotations, settled in (flat, nested)]
    one, other = (_sorted(table) for table in tables)
    shared = min(len(one), len(other))
    differ = (one[:shared] != other[:shared]).any(axis=1)
    if differ.any():
        at = int(differ.argmax())
        return int(min(one[at, 0], other[at, 0]))
    if len(one) == len(other):
        return None
    longer = one if len(one) > len(other) else other
    return int(longer[shared, 0])


def _table(annotations: Annotations, settled: AnnotationRows, wanted: np.ndarray) -> Floats:
    """Gives for each annotation of the wanted images: image, class, box, and the sums of its outlines and keypoints."""
    kept = wanted[settled.images]
    items = settled.items[kept]
    columns = [settled.images[kept], settled.classes[kept], *np.nan_to_num(annotations.box_table()[items], nan=-1).T]
    if annotations.outlines is not None:
        columns.append(_sums(annotations.outlines, len(annotations))[items])
    if annotations.keypoints is not None:
        table = annotations.keypoints.table()
        columns.append(np.zeros(len(items)) if table is None else np.nansum(table, axis=(1, 2))[items])
    return np.round(np.stack(columns, axis=1).astype(np.float64), 3)


def _sums(column: OutlineColumn, count: int) -> Floats:
    sums = np.zeros(count)
    outlines = column.outlines()
    if outlines is not None:
        starts = outlines.first_point[outlines.first_ring]
        drawn = starts[1:] > starts[:-1]
        sums[drawn] = np.add.reduceat(outlines.points.sum(axis=1), starts[:-1][drawn])
    for row, rle in column.rles().items():
        sums[row] += float((rle.counts * np.arange(1, len(rle.counts) + 1)).sum())
    return sums


def _sorted(table: Floats) -> Floats:
    return table[np.lexsort(table.T[::-1])]
