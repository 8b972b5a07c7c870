"""Collects the objects of Pascal VOC files as columns, and tells which of them are wrong."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from steps.convert.dataset import Category, Floats, Ints, Outlines
from steps.convert.problems import DatasetRefused, Problem
from steps.convert.read.voc_xml import VocObject


@dataclass(slots=True)
class Rows:
    """Annotations in the order of their files; sorted() gives them in the order of their images."""

    outlines_wanted: bool = True
    files: "array[int]" = field(default_factory=lambda: array("q"))
    kinds: "array[int]" = field(default_factory=lambda: array("q"))
    numbers: "array[float]" = field(default_factory=lambda: array("d"))  # four of each box
    names: dict[str, int] = field(default_factory=dict)  # class names by their first appearance
    polygons: dict[int, list[float]] = field(default_factory=dict)  # by row
    wrong: list[tuple[int, Problem]] = field(default_factory=list)
    difficult: int = 0
    parts: int = 0

    def add(self, file: int, document: str, objects: Sequence[VocObject]) -> None:
        """Takes the objects of one file, which is known by its number."""
        for number, one in enumerate(objects, 1):
            self.difficult += one.difficult
            self.parts += one.parts
            if not one.name:
                self._bad("category_name", file, document, number, "it has no <name>", "name its class")
            elif isinstance(one.box, str):
                self._bad("box_malformed", file, document, number, one.box, "write xmin, ymin, xmax and ymax")
            elif isinstance(one.polygon, str):
                self._bad("polygon_malformed", file, document, number, one.polygon, "write its points as numbers")
            else:
                if one.polygon and self.outlines_wanted:
                    self.polygons[len(self.files)] = one.polygon
                self.files.append(file)
                self.kinds.append(self.names.setdefault(one.name, len(self.names)))
                self.numbers.extend(one.box)

    def _bad(self, code: str, file: int, document: str, number: int, message: str, cure: str) -> None:
        self.wrong.append((file, Problem(code=code, file=document, message=f"object {number}: {message}", cure=cure)))


@dataclass(frozen=True, slots=True)
class Columns:
    """Annotations in the order of their images."""

    images: Ints
    classes: Ints
    boxes: Floats
    outlines: Outlines | None
    outlined: bool  # whether every one has a polygon
    problems: list[Problem]


def columns(rows: Rows, *, images: Ints, categories: Sequence[Category]) -> Columns:
    """Sorts rows by their images; `images` gives the image row of each file."""
    files = np.frombuffer(rows.files, dtype=np.int64) if rows.files else np.empty(0, dtype=np.int64)
    kinds = np.frombuffer(rows.kinds, dtype=np.int64) if rows.kinds else np.empty(0, dtype=np.int64)
    boxes = np.array(rows.numbers, dtype=np.float64).reshape(-1, 4)
    order = np.argsort(images[files], kind="stable") if len(files) else files
    index = {c.name: -1 if c.index is None else c.index for c in categories}
    classes = np.array([index[name] for name in rows.names], dtype=np.int64)
    return Columns(
        images=images[files][order] if len(files) else files,
        classes=classes[kinds][order] if len(files) else kinds,
        boxes=boxes[order],
        outlines=_outlines(rows, order),
        outlined=bool(rows.polygons) and len(rows.polygons) == len(files),
        problems=_problems(rows, images),
    )


def oriented(document: str) -> DatasetRefused:
    """Makes the refusal of oriented boxes."""
    message = "it holds oriented boxes (<robndbox>), which no task here is trained on"
    cure = "export upright boxes (<bndbox>)"
    return DatasetRefused([Problem(code="obb_unsupported", file=document, message=message, cure=cure)])


def _outlines(rows: Rows, order: Ints) -> Outlines | None:
    if not rows.polygons:
        return None
    places = [row for row in order.tolist() if row in rows.polygons]
    rings = [np.array(rows.polygons[row], dtype=np.float64).reshape(-1, 2) for row in places]
    has = np.zeros(len(order), dtype=np.int64)
    has[list(rows.polygons)] = 1
    lengths = [len(ring) for ring in rings]
    return Outlines(
        points=np.concatenate(rings),
        first_point=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        first_ring=np.concatenate([[0], np.cumsum(has[order])]).astype(np.int64),
    )


def _problems(rows: Rows, images: Ints) -> list[Problem]:
    told = sorted(((int(images[file]) + 1, problem) for file, problem in rows.wrong), key=lambda one: one[0])
    found = [replace(problem, image_id=image) for image, problem in told]
    if rows.difficult:
        message = f"{rows.difficult} objects are marked difficult; they are kept and trained like the others"
        found.append(_said("voc_difficult", message, "remove them from the files to leave them out"))
    if rows.parts:
        message = f"{rows.parts} parts of objects (<part>) are not read"
        found.append(_said("voc_parts", message, "nothing need be done; write them as objects to train on them"))
    return found


def _said(code: str, message: str, cure: str) -> Problem:
    return Problem(level="warning", code=code, file="Annotations", message=message, cure=cure)
