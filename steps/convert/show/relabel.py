"""Compares the labels of one image in two datasets: which are the same, of another class, moved, new or gone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from steps.convert.dataset import Dataset

NEAR = 0.05  # pixels by which numbers may differ: what formats with few decimals round
MOVED = 0.2  # intersection over union from which two boxes of one class are one that was moved


@dataclass(slots=True)
class Change:
    """What became of the labels of an image; `classes` counts the changes from one class name to another."""

    added: int = 0
    removed: int = 0
    class_changed: int = 0
    shape_changed: int = 0
    classes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def facts(self) -> dict[str, int]:
        """Gives the four counts."""
        return {
            "added": self.added,
            "removed": self.removed,
            "class_changed": self.class_changed,
            "shape_changed": self.shape_changed,
        }

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.class_changed or self.shape_changed)


def compare(a: Dataset, rows_a: Sequence[int], b: Dataset, rows_b: Sequence[int]) -> Change:
    """Pairs the labels of one image, the likest first, and tells what differs."""
    change = Change()
    left, right = list(rows_a), list(rows_b)
    names_a, names_b = _names(a), _names(b)

    def pair(alike: np.ndarray, *, renamed: bool = False, moved: bool = False) -> None:
        # The likest first, of equals the first; each label once.
        firsts, seconds = np.nonzero(alike > 0)
        order = np.argsort(-alike[firsts, seconds], kind="stable")
        for first, second in zip(firsts[order].tolist(), seconds[order].tolist(), strict=True):
            if left[first] < 0 or right[second] < 0:
                continue
            old, new = left[first], right[second]
            if renamed:
                change.class_changed += 1
                change.classes[names_a[a.annotation_class[old]], names_b[b.annotation_class[new]]] += 1
            elif moved:
                change.shape_changed += 1
            left[first], right[second] = -1, -1

    def remaining() -> tuple[np.ndarray, np.ndarray]:
        left[:] = [at for at in left if at >= 0]
        right[:] = [at for at in right if at >= 0]
        codes: dict[str, int] = {}
        of_a = np.array([codes.setdefault(names_a[a.annotation_class[m]], len(codes)) for m in left], dtype=np.int64)
        of_b = np.array([codes.setdefault(names_b[b.annotation_class[n]], len(codes)) for n in right], dtype=np.int64)
        # Where boxes differ, shapes do: the rest is compared one by one.
        same_shape = np.ones((len(left), len(right)), dtype=bool)
        for side in range(4):
            one, other = a.boxes[left][:, side], b.boxes[right][:, side]
            with np.errstate(invalid="ignore"):
                close = np.abs(one[:, None] - other) <= NEAR
            same_shape &= close | (np.isnan(one)[:, None] & np.isnan(other))
        for m, n in np.argwhere(same_shape).tolist():
            same_shape[m, n] = _alike(a, left[m], b, right[n])
        return of_a[:, None] == of_b, same_shape

    same_class, same_shape = remaining()
    pair((same_class & same_shape).astype(float))
    same_class, same_shape = remaining()
    pair((same_shape & ~same_class).astype(float), renamed=True)
    same_class, same_shape = remaining()
    shares = _overlaps(a.boxes[left], b.boxes[right])
    pair(np.where(same_class & (shares >= MOVED), shares, 0), moved=True)
    remaining()
    change.removed, change.added = len(left), len(right)
    return change


def _names(dataset: Dataset) -> list[str]:
    # The background's index is -1: it comes last.
    return [*(category.name for category in dataset.classes), "__background__"]


def _alike(a: Dataset, m: int, b: Dataset, n: int) -> bool:
    if a.annotation_crowd[m] != b.annotation_crowd[n] or not _near(a.boxes[m], b.boxes[n]):
        return False
    if not _near(_points(a, m), _points(b, n)) or not _near(_keypoints(a, m), _keypoints(b, n)):
        return False
    first, second = a.rles.get(m), b.rles.get(n)
    if first is None or second is None:
        return first is second
    return (first.width, first.height) == (second.width, second.height) and np.array_equal(first.counts, second.counts)


def _near(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=0, atol=NEAR, equal_nan=True))


def _points(dataset: Dataset, at: int) -> np.ndarray:
    lines = dataset.outlines
    if lines is None:
        return np.zeros((0, 2))
    first, last = lines.first_ring[at], lines.first_ring[at + 1]
    return lines.points[lines.first_point[first] : lines.first_point[last]]


def _keypoints(dataset: Dataset, at: int) -> np.ndarray:
    if dataset.keypoints is None:
        return np.zeros((0, 3))
    points = dataset.keypoints[at]
    return points[~np.isnan(points).all(axis=1)]


def _overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, :2] + first[:, None, 2:], second[None, :, :2] + second[None, :, 2:])
    with np.errstate(invalid="ignore"):
        inside = np.clip(high - low, 0, None).prod(axis=2)
        union = first[:, 2:].prod(axis=1)[:, None] + second[:, 2:].prod(axis=1)[None, :] - inside
        return np.nan_to_num(np.divide(inside, union, out=np.zeros_like(inside), where=union > 0))
