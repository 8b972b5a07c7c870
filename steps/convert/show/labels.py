"""Names the labels of each image by their content, so that two datasets can be compared whatever their ids are."""

import hashlib
from collections import Counter

import numpy as np

from steps.convert.dataset import Dataset

PLACES = 2  # decimals of a pixel that count


def label_texts(dataset: Dataset) -> list[str]:
    """Gives for each annotation its shape as text, without its class: box, outlines, mask, keypoints."""
    boxes = [str(box) for box in np.round(dataset.boxes, PLACES).tolist()]
    shapes = [shape_text(dataset, at) for at in range(len(boxes))] if _shaped(dataset) else [""] * len(boxes)
    crowd = dataset.annotation_crowd.tolist()
    return [box + shape + "c" * flag for box, shape, flag in zip(boxes, shapes, crowd, strict=True)]


def class_names(dataset: Dataset) -> list[str]:
    """Gives for each annotation the name of its class."""
    names = [*(category.name for category in dataset.classes), "__background__"]
    return [names[index] for index in dataset.annotation_class.tolist()]


def by_image(dataset: Dataset) -> list[Counter[tuple[str, str]]]:
    """Gives for each image row its labels: how often each pair of class name and shape stands there."""
    found: list[Counter[tuple[str, str]]] = [Counter() for _ in dataset.image_names]
    columns = (dataset.annotation_image.tolist(), class_names(dataset), label_texts(dataset))
    for row, name, shape in zip(*columns, strict=True):
        found[row][name, shape] += 1
    return found


def rows_by_image(dataset: Dataset) -> list[list[int]]:
    """Gives for each image row the rows of its annotations."""
    found: list[list[int]] = [[] for _ in dataset.image_names]
    for at, row in enumerate(dataset.annotation_image.tolist()):
        found[row].append(at)
    return found


def _shaped(dataset: Dataset) -> bool:
    return dataset.outlines is not None or bool(dataset.rles) or dataset.keypoints is not None


def shape_text(dataset: Dataset, at: int) -> str:
    """Gives a digest of an annotation's outlines, mask and keypoints."""
    digest = hashlib.blake2b(digest_size=8)
    if (lines := dataset.outlines) is not None:
        rings = lines.first_point[lines.first_ring[at] : lines.first_ring[at + 1] + 1]
        if len(rings) > 1:
            digest.update((rings - rings[0]).tobytes())
            digest.update(np.round(lines.points[rings[0] : rings[-1]], PLACES).tobytes())
    if (rle := dataset.rles.get(at)) is not None:
        digest.update(f"{rle.height} {rle.width}".encode() + rle.counts.tobytes())
    if dataset.keypoints is not None:
        points = dataset.keypoints[at]
        digest.update(np.round(points[np.isfinite(points).all(axis=1)], PLACES).tobytes())
    return digest.hexdigest()
