"""Turns annotation rows into the objects that COCO and DICE write, and reads such objects back into columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from steps.convert.dataset import Dataset, Floats, Ints, Rle
from steps.convert.write.digits import ranges


class RleBack(msgspec.Struct):
    """A mask as it stands in the written JSON."""

    size: tuple[int, int]
    counts: list[int]


class Back(msgspec.Struct, kw_only=True):
    """An annotation as it stands in the written JSON."""

    id: int
    image_id: int
    category_id: int
    iscrowd: int = 0
    bbox: tuple[float, float, float, float] | None = None
    area: float | None = None
    segmentation: list[list[float]] | RleBack | None = None
    keypoints: list[float] | None = None
    num_keypoints: int = 0


@dataclass(slots=True, kw_only=True)
class Columns:
    """Some annotations as columns: what is meant, or what was read back."""

    ids: Ints
    images: Ints
    categories: Ints
    crowd: Ints
    boxes: Floats
    areas: Floats
    rings: Ints  # rings of each annotation
    sizes: Ints  # points of each ring
    points: Floats
    keypoints: Floats  # all triples, NaN where an annotation has none
    rles: dict[int, Rle] = field(default_factory=dict)  # by place

    def named(self) -> list[tuple[str, np.ndarray]]:
        """Gives the columns by name, masks as one column of numbers."""
        masks: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
        for place, rle in sorted(self.rles.items()):
            masks += [np.array([place, rle.height, rle.width, len(rle.counts)]), np.asarray(rle.counts, dtype=np.int64)]
        return [
            ("ids", self.ids), ("images", self.images), ("categories", self.categories), ("crowd", self.crowd),
            ("boxes", self.boxes), ("areas", self.areas), ("rings", self.rings), ("sizes", self.sizes),
            ("points", self.points), ("keypoints", self.keypoints), ("masks", np.concatenate(masks)),
        ]  # fmt: skip


def columns_of(dataset: Dataset, rows: Ints, *, ids: Ints, category_ids: Ints, full: bool) -> Columns:
    """Gathers annotation rows; `category_ids` are by class index, the background's last; `full` as plain_keypoints."""
    outlines = dataset.outlines
    rings, sizes, points = np.zeros(len(rows), dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((0, 2))
    if outlines is not None:
        first = outlines.first_ring[rows]
        rings = outlines.first_ring[rows + 1] - first
        of = ranges(first, rings)
        sizes = outlines.first_point[of + 1] - outlines.first_point[of]
        points = outlines.points[ranges(outlines.first_point[of], sizes)]
    return Columns(
        ids=ids[rows],
        images=dataset.image_ids[dataset.annotation_image[rows]],
        categories=category_ids[dataset.annotation_class[rows]],
        crowd=dataset.annotation_crowd[rows].astype(np.int64),
        boxes=dataset.boxes[rows],
        areas=np.full(len(rows), np.nan) if dataset.areas is None else dataset.areas[rows],
        rings=rings,
        sizes=sizes,
        points=points,
        keypoints=plain_keypoints(dataset, rows, full=full),
        rles={at: dataset.rles[row] for at, row in enumerate(rows.tolist()) if row in dataset.rles},
    )


def objects(columns: Columns) -> list[dict[str, Any]]:
    """Gives one object for each annotation, with what it has and nothing else."""
    boxed, measured = np.isfinite(columns.boxes).all(axis=1).tolist(), np.isfinite(columns.areas).tolist()
    boxes, areas, crowd = columns.boxes.tolist(), columns.areas.tolist(), columns.crowd.tolist()
    flat, stops = columns.points.reshape(-1).tolist(), (2 * np.cumsum(columns.sizes)).tolist()
    posed = (~np.isnan(columns.keypoints[:, :, 0])).sum(axis=1).tolist()
    found: list[dict[str, Any]] = []
    ring = start = 0
    pairs = zip(columns.ids.tolist(), columns.images.tolist(), columns.categories.tolist(), strict=True)
    for at, (id_, image, category) in enumerate(pairs):
        one: dict[str, Any] = {"id": id_, "image_id": image, "category_id": category}
        if boxed[at]:
            one["bbox"] = boxes[at]
        if measured[at]:
            one["area"] = areas[at]
        one["iscrowd"] = crowd[at]
        if count := int(columns.rings[at]):
            one["segmentation"] = []
            for stop in stops[ring : ring + count]:
                one["segmentation"].append(flat[start:stop])
                start = stop
            ring += count
        elif rle := columns.rles.get(at):
            one["segmentation"] = {"size": [rle.height, rle.width], "counts": rle.counts.tolist()}
        if posed[at]:
            points = columns.keypoints[at][: posed[at]]
            one["keypoints"] = [int(n) if n.is_integer() else n for n in points.reshape(-1).tolist()]
            one["num_keypoints"] = int((points[:, 2] > 0).sum())
        found.append(one)
    return found


def columns_back(written: Sequence[Back], *, keypoints: int) -> Columns:
    """Puts objects that were read back into columns again, for `keypoints` points of each."""
    none = (np.nan,) * 4
    rings = [one.segmentation if isinstance(one.segmentation, list) else [] for one in written]
    points = [ring for each in rings for ring in each]
    places = np.full((len(written), keypoints, 3), np.nan)
    for at, one in enumerate(written):
        if one.keypoints:
            given = np.array(one.keypoints).reshape(-1, 3)
            places[at, : len(given)] = given
    return Columns(
        ids=np.array([one.id for one in written], dtype=np.int64),
        images=np.array([one.image_id for one in written], dtype=np.int64),
        categories=np.array([one.category_id for one in written], dtype=np.int64),
        crowd=np.array([one.iscrowd for one in written], dtype=np.int64),
        boxes=np.array([one.bbox or none for one in written], dtype=np.float64).reshape(-1, 4),
        areas=np.array([np.nan if one.area is None else one.area for one in written], dtype=np.float64),
        rings=np.array([len(each) for each in rings], dtype=np.int64),
        sizes=np.array([len(ring) // 2 for ring in points], dtype=np.int64),
        points=np.array([number for ring in points for number in ring], dtype=np.float64).reshape(-1, 2),
        keypoints=places,
        rles={
            at: Rle(
                one.segmentation.size[0], one.segmentation.size[1], np.array(one.segmentation.counts, dtype=np.int64)
            )
            for at, one in enumerate(written)
            if isinstance(one.segmentation, RleBack)
        },
    )


def plain_keypoints(dataset: Dataset, rows: Ints, *, full: bool) -> Floats:
    """Gives the keypoints as they will be read back, with 0 0 0 for points that nobody set.

    With `full` every object has all points of its class; otherwise those that it was given.
    """
    if dataset.keypoints is None:
        return np.zeros((len(rows), 0, 3))
    points = dataset.keypoints[rows]
    count = points.shape[1]
    given = (~np.isnan(points)).any(axis=2)
    last = np.where(given.any(axis=1), count - given[:, ::-1].argmax(axis=1), 0)
    if full:
        own = np.array([len(c.keypoints) or count for c in dataset.classes] + [count])
        last = np.where(last > 0, np.maximum(last, own[dataset.annotation_class[rows]]), 0)
    within = np.arange(count) < last[:, None]
    # Adding nothing makes of -0.0 the 0 that it is written as.
    return np.where(within[..., None], np.nan_to_num(points) + 0.0, np.nan)
