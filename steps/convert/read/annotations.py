"""Collects annotations as columns while a document is read, flat or from inside its images."""

import math
from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from steps.convert.dataset import Bools, Floats
from steps.convert.read.fields import NO_BOX, as_box, finite, is_number
from steps.convert.read.records import Annotation
from steps.convert.read.refs import Refs
from steps.convert.read.shapes import KeypointColumn, OutlineColumn

NAN = float("nan")
BOX_FORMATS = {
    "xywh": "xywh", "ltwh": "xywh", "coco": "xywh",
    "xyxy": "xyxy", "ltrb": "xyxy", "voc": "xyxy", "pascal_voc": "xyxy",
    "cxcywh": "cxcywh",
}  # fmt: skip


class Annotations:
    """The annotations read so far; `flaws` are told once images and categories are known."""

    def __init__(self, *, outlines: bool, keypoints: bool) -> None:
        self.ids, self.images, self.categories = Refs(), Refs(), Refs()
        self.class_names: dict[tuple[int, str], list[int]] = {}  # category and name: rows: how many, the first
        self.unnumbered: dict[int, str] = {}  # rows that name their class by its name alone
        self.boxes, self.areas, self.crowd = array("d"), array("d"), bytearray()
        self.outlines = OutlineColumn(self.flaw) if outlines else None
        self.keypoints = KeypointColumn(self.flaw) if keypoints else None
        self.flaws: list[tuple[int, str, str, str]] = []  # row, code, message, cure
        self._mended: dict[int, tuple[Any, list[tuple[str, str, str]]]] = {}  # by id() of records yet to be added

    def __len__(self) -> int:
        return len(self.ids)

    def flaw(self, row: int, code: str, message: str, cure: str) -> None:
        """Notes what is malformed in an annotation, which is left out then."""
        self.flaws.append((row, code, message, cure))

    def mend(self, value: Any) -> Any:
        """Gives the record of an entry that does not fit the types, keeping what can be told of it."""
        entry = value if isinstance(value, dict) else {"id": Stranger(value)}
        flaws = []
        box, area = as_box(entry.get("bbox")), entry.get("area")
        if box is None:
            message = f"bbox {str(entry['bbox'])[:60]} is not four numbers"
            flaws.append(("box_malformed", message, "write [x, y, width, height]"))
        texts = {
            key: entry[key] if isinstance(entry.get(key), str) else None
            for key in ("class_name", "bbox_format", "mask_file", "mask_format")
        }
        record = Annotation(
            id=entry.get("id"),
            image_id=entry.get("image_id"),
            category_id=entry.get("category_id"),
            class_id=entry.get("class_id"),
            bbox=None if box is None or box[0] != box[0] else box,
            area=finite(area) if is_number(area) else None,
            iscrowd=bool(entry.get("iscrowd")),
            **texts,
        )
        loose = _Loose(record, entry.get("segmentation"), entry.get("keypoints"))
        self._mended[id(loose)] = loose, flaws
        return loose

    def add(self, items: Sequence[Any], *, images: list[int] | None = None, parents: Sequence[Any] = ()) -> None:
        """Adds records; `images` are the rows of the images they stand in, if they do, `parents` the ids of those."""
        start = len(self.ids)
        careful = bool(self._mended)
        if careful:
            for row, item in enumerate(items, start):
                for code, message, cure in self._mended.get(id(item), (None, []))[1]:
                    self.flaw(row, code, message, cure)
            self._mended.clear()
        self.ids.add([item.id for item in items])
        given = [item.image_id for item in items]
        if images is not None and given.count(None) != len(given):
            for row, (one, other) in enumerate(zip(given, parents, strict=True), start):
                if one is not None and str(one) != str(other):
                    message = f"image_id is {one!r}, but the annotation stands in image {other!r}"
                    self.flaw(row, "image_contradiction", message, "move the annotation, or drop its image_id")
        self.images.add(given if images is None else images)
        self._add_classes(items, start)
        self._add_boxes(items, start)
        areas = [item.area for item in items]
        self.areas.extend(array("d", [NAN if a is None else a for a in areas] if None in areas else areas))
        self.crowd.extend(map(bool, [item.iscrowd for item in items]))
        if self.outlines is not None:
            self.outlines.add([item.segmentation for item in items], careful=careful)
        if self.keypoints is not None:
            self.keypoints.add([item.keypoints for item in items], careful=careful)

    def _add_classes(self, items: Sequence[Any], start: int) -> None:
        given, alias = [item.category_id for item in items], [item.class_id for item in items]
        if alias.count(None) != len(alias):
            for row, (one, other) in enumerate(zip(given, alias, strict=True), start):
                if one is not None and other is not None and str(one) != str(other):
                    message = f"category_id is {one!r} and class_id {other!r}"
                    self.flaw(row, "category_contradiction", message, "keep one of them, or make both say the same")
            given = [other if one is None else one for one, other in zip(given, alias, strict=True)]
        names = [item.class_name for item in items]
        if names.count(None) != len(names):
            for row, (id_, name) in enumerate(zip(given, names, strict=True), start):
                if name is not None and id_ is None:
                    self.unnumbered[row] = name
                elif name is not None and type(id_) is int:
                    rows = self.class_names.setdefault((id_, name), [0, row])
                    rows[0] += 1
        self.categories.add(given)

    def _add_boxes(self, items: Sequence[Any], start: int) -> None:
        given = [item.bbox for item in items]
        if None in given:
            given = [NO_BOX if box is None else box for box in given]
        boxes = array("d", list(chain.from_iterable(given)))
        formats = [item.bbox_format for item in items]
        if formats.count(None) != len(formats) and set(formats) - {None, "xywh"}:
            table = np.array(boxes).reshape(-1, 4)
            for at, name in enumerate(formats):
                kind = BOX_FORMATS.get((name or "xywh").lower())
                if kind is None:
                    known = ", ".join(sorted(BOX_FORMATS))
                    self.flaw(start + at, "bbox_format", f"bbox_format {name!r} is unknown", f"use one of: {known}")
                elif kind != "xywh":
                    x, y, a, b = table[at].tolist()
                    table[at] = (x, y, a - x, b - y) if kind == "xyxy" else (x - a / 2, y - b / 2, a, b)
            boxes = array("d", table.reshape(-1))
        self.boxes.extend(boxes)

    def box_table(self) -> Floats:
        """Gives (annotations, 4), NaN where there is no box, infinity where a number is none."""
        table = np.frombuffer(self.boxes, dtype=np.float64).reshape(-1, 4) if self.boxes else np.empty((0, 4))
        with np.errstate(invalid="ignore"):
            wild = np.abs(table) >= 1e300
        if wild.any():
            table = np.where(wild, math.inf, table)
        return table

    def area_column(self) -> Floats | None:
        """Gives the declared areas, None where no annotation declares one."""
        areas = np.frombuffer(self.areas, dtype=np.float64) if self.areas else np.empty(0)
        return None if np.isnan(areas).all() else areas

    def crowd_column(self) -> Bools:
        """Marks the crowds."""
        return np.array(self.crowd, dtype=bool)


class Stranger:
    """The id of an entry that is no object."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"none: it is {str(self.value)[:40]!r}, not an object"


class _Loose:
    """An annotation of which no type is known."""

    __slots__ = ("keypoints", "record", "segmentation")

    def __init__(self, record: Annotation, segmentation: Any, keypoints: Any) -> None:
        self.record, self.segmentation, self.keypoints = record, segmentation, keypoints

    def __getattr__(self, name: str) -> Any:
        return getattr(self.record, name)
