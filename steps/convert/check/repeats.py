"""Finds what was annotated twice: the very same, and boxes of one class that lie on one another."""

import numpy as np

from steps.convert.dataset import Bools, Dataset, Floats, Ints
from steps.convert.show.labels import shape_text

ALIKE = 0.8  # intersection over union from which two boxes of one class look like one that was drawn twice
NEIGHBOURS = 200  # boxes further along that are compared: enough for any picture, and an end for any document


def repeated(dataset: Dataset) -> Bools:
    """Marks each annotation that says what an earlier one of its image says: class, box, and outline if any."""
    columns = np.column_stack([dataset.annotation_image, dataset.annotation_class]).astype(np.uint64)
    boxes = (dataset.boxes + 0.0).view(np.uint64)  # adding makes -0 the same as 0
    marks = np.zeros(len(boxes), dtype=np.uint64)
    for number, column in enumerate([*columns.T, *boxes.T]):
        marks = (marks ^ column) * np.uint64(0x9E3779B97F4A7C15 + 2 * number)
        marks ^= marks >> np.uint64(29)
    order = np.argsort(marks, kind="stable")
    same = marks[order][1:] == marks[order][:-1]
    suspects = np.zeros(len(marks), dtype=bool)
    suspects[1:] |= same
    suspects[:-1] |= same
    found = np.zeros(len(marks), dtype=bool)
    seen: set[tuple[object, ...]] = set()
    for at in np.sort(order[suspects]).tolist():
        key = (*columns[at].tolist(), *boxes[at].tolist(), shape_text(dataset, at))
        found[at] = key in seen
        seen.add(key)
    return found


def identical(dataset: Dataset, first: int, second: int) -> bool:
    """Tells whether two annotations of one image and class have the same box, outlines, mask and keypoints."""
    same_box = np.array_equal(dataset.boxes[first], dataset.boxes[second], equal_nan=True)
    return same_box and shape_text(dataset, first) == shape_text(dataset, second)


def overlapping(dataset: Dataset, boxes: Floats, among: Bools, *, share: float = ALIKE) -> tuple[Ints, Ints, Floats]:
    """Gives pairs of annotations (earlier, later) of one image and class whose boxes overlap by `share` or more."""
    rows = np.flatnonzero(among)
    left, top, width, height = boxes[rows].T
    group = dataset.annotation_image[rows] * max(1, len(dataset.classes)) + dataset.annotation_class[rows]
    # One number to sort by is ten times faster than three columns; it orders the left sides to a sixteenth pixel.
    order = np.argsort((group << 20) | np.clip(left * 16, 0, (1 << 20) - 1).astype(np.int64))
    rows, group = rows[order], group[order]
    left, top, width, height = left[order], top[order], width[order], height[order]
    pairs: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    first = np.arange(len(rows))
    for step in range(1, NEIGHBOURS + 1):
        first = first[first + step < len(rows)]
        other = first + step
        # Sorted by their left sides: what begins too far to the right is followed by what begins still further.
        near = (group[first] == group[other]) & (left[other] - left[first] <= (1 - share) * width[first] + 0.125)
        first, other = first[near], other[near]
        if not len(first):
            break
        across = np.minimum(left[first] + width[first], left[other] + width[other]) - np.maximum(
            left[first], left[other]
        )
        down = np.minimum(top[first] + height[first], top[other] + height[other]) - np.maximum(top[first], top[other])
        inside = across.clip(0) * down.clip(0)
        union = width[first] * height[first] + width[other] * height[other] - inside
        ratio = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
        alike = ratio >= share
        pairs.append(np.sort(np.column_stack([rows[first[alike]], rows[other[alike]]]), axis=1))
        shares.append(ratio[alike])
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    table = np.concatenate(pairs)
    return table[:, 0], table[:, 1], np.concatenate(shares)
