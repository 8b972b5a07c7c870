"""Looks some label files up on the disk and compares them with the dataset in plain steps, number by number."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from steps.convert.dataset import Dataset, Ints, Rle
from steps.convert.write.inside import grid, near, on_mask, within
from steps.convert.write.proof import ProofFailed
from steps.convert.write.selection import Labels

LOOKED_AT = 100  # files of each part
EACH = 8  # points along either side of an object that is compared by its area
EDGE = 0.05  # pixels: what rounding may move an outline by
TOLERATED = 2e-6  # a millionth of the centre and half of one of the extent


def spot_check(dataset: Dataset, labels: Labels, rows: Ints, names: list[str], folder: Path) -> None:
    """Reads files spread over the part; raises ProofFailed naming the first that says something else.

    It shares nothing with the writer but the dataset: a mistake would have to be made twice, in two ways.
    """
    step = max(1, len(rows) // LOOKED_AT)
    for at in range(0, len(rows), step):
        own = labels.rows[labels.first[at] : labels.first[at + 1]].tolist()
        lines = (folder / names[at]).read_text(encoding="ascii").splitlines()
        width, height = dataset.image_sizes[rows[at]].tolist()
        same = len(lines) == len(own) and all(
            _says(dataset, row, line.split(), width, height) for row, line in zip(own, lines, strict=True)
        )
        if not same:
            raise ProofFailed(f"{folder.name}/{names[at]} does not say what image {dataset.image_ids[rows[at]]} has")


def _says(dataset: Dataset, row: int, fields: list[str], width: int, height: int) -> bool:
    if int(fields[0]) != int(dataset.annotation_class[row]):
        return False
    numbers = [float(field) for field in fields[1:]]
    if dataset.task == "instance_segmentation":
        return _outlines(dataset, row, numbers, width, height)
    x, y, w, h = dataset.boxes[row].tolist()
    meant = _edges(x, y, x + w, y + h, width, height)
    cx, cy, bw, bh = numbers[:4]
    if not _close((cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2), meant):
        return False
    if dataset.keypoints is None or dataset.task != "pose_estimation":
        return len(numbers) == 4
    points = dataset.keypoints[row].tolist()
    return len(numbers) == 4 + 3 * len(points) and all(
        _keypoint(numbers[4 + 3 * n : 7 + 3 * n], point, width, height) for n, point in enumerate(points)
    )


def _keypoint(found: list[float], point: list[float], width: int, height: int) -> bool:
    x, y, v = point
    if not (-1 <= x <= width + 1 and -1 <= y <= height + 1):
        return found == [0, 0, 0]
    meant = (min(max(x / width, 0), 1), min(max(y / height, 0), 1))
    return found[2] == v and _close(found[:2], meant)


def _outlines(dataset: Dataset, row: int, numbers: list[float], width: int, height: int) -> bool:
    found = np.array(numbers).reshape(-1, 2)
    rings = _rings(dataset, row)
    if not rings:
        return _same_mask(dataset.rles[row], found * [width, height])
    meant = np.clip(np.concatenate(rings) / [width, height], 0, 1)
    if len(rings) == 1:
        return len(found) == len(meant) and bool(np.abs(found - meant).max() < TOLERATED)
    low, high = found.min(axis=0) - meant.min(axis=0), found.max(axis=0) - meant.max(axis=0)
    joined = len(found) == len(meant) + 2 * (len(rings) - 1)
    if joined and max(np.abs(low).max(), np.abs(high).max()) < TOLERATED:
        return _same_parts(rings, found * [width, height])
    # Or followed along the pixels: thin ends have none, so it may be smaller, but larger only by a part of a pixel.
    return bool((low * [width, height] > -1).all() and (high * [width, height] < 1).all())


def _same_mask(rle: Rle, ring: np.ndarray) -> bool:
    """Compares a ring with the mask it follows, at pixels spread over the box around it."""
    low, high = ring.min(axis=0), ring.max(axis=0)
    points = grid(low, high, each=EACH)
    held = np.concatenate([[0], np.cumsum(rle.counts)])[1:-1:2]  # where runs of the mask begin
    held = held[rle.counts[1::2][: len(held)] > 0][:: max(1, len(held) // EACH)]
    points = np.concatenate([points, np.stack([held // rle.height, held % rle.height], axis=1) + 0.5])
    return len(ring) >= 4 and bool((within([ring], points) == on_mask(rle, points)).all())


def _same_parts(rings: list[np.ndarray], ring: np.ndarray) -> bool:
    """Compares one ring with those it was joined of, at points spread over their box."""
    points = grid(ring.min(axis=0), ring.max(axis=0), each=EACH)
    differ = within([ring], points) != within(rings, points)
    return not (differ & ~near([ring, *rings], points, reach=EDGE)).any()


def _rings(dataset: Dataset, row: int) -> list[np.ndarray]:
    outlines = dataset.outlines
    if outlines is None:
        return []
    bounds = [outlines.first_point[n : n + 2] for n in range(outlines.first_ring[row], outlines.first_ring[row + 1])]
    return [outlines.points[start:stop] for start, stop in bounds if stop - start >= 3]


def _edges(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> tuple[float, ...]:
    return tuple(min(max(value, 0), 1) for value in (x0 / width, y0 / height, x1 / width, y1 / height))


def _close(found: Iterable[float], meant: Iterable[float]) -> bool:
    return all(abs(a - b) < TOLERATED for a, b in zip(found, meant, strict=True))
