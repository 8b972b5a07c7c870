"""Settles which annotations of a document can be used: their ids, their images, their classes."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from steps.convert.dataset import BACKGROUND_NAMES, Category, Ints
from steps.convert.problems import Level, Problem
from steps.convert.read.annotations import Annotations, Stranger
from steps.convert.read.image_rows import UNKNOWN, ImageRows, lookup
from steps.convert.read.images import Images
from steps.convert.read.refs import NONE

NO_CLASS = -2
LISTED = 100_000  # findings of one kind that are kept one by one


@dataclass(slots=True)
class AnnotationRows:
    """The usable annotations: their `items` (numbers in the document), ids, image rows and class indexes."""

    items: Ints
    ids: Ints
    images: Ints
    classes: Ints


class Settling:
    """Looks at the annotations of a document and tells what is wrong with them."""

    def __init__(
        self,
        annotations: Annotations,
        rows: ImageRows,
        images: Images,
        categories: tuple[Category, ...],
        problems: list[Problem],
        *,
        nested: bool,
        lost: frozenset[int] = frozenset(),
        spare: frozenset[str] = frozenset(),
    ) -> None:
        self.annotations, self.rows, self.images_read = annotations, rows, images
        self.categories, self.problems, self.nested, self.lost = categories, problems, nested, lost
        self.spare = spare  # flaws of what the task does not train on: worth a warning, and the annotation stays
        self.found: list[tuple[int, int, Problem]] = []
        self.more: Counter[str] = Counter()  # findings of a kind that are too many to be listed
        self.told: Counter[str] = Counter()
        self.ids = annotations.ids.numbers().copy()
        self.bad = np.zeros(len(self.ids), dtype=bool)
        self.unnamed = self.bad  # no annotation at all: nothing more is told of them

    def settle(self) -> AnnotationRows:
        """Gives the usable annotations."""
        annotations = self.annotations
        if self.nested:
            images = self.rows.row_of_item[annotations.images.numbers()]
        else:
            images = self.rows.find(annotations.images)
        self._number()
        classes = self._classes(images)
        self._keypoint_counts(classes)
        for row in np.flatnonzero((images == UNKNOWN) & ~self.unnamed).tolist():
            message = f"image_id {annotations.images.shown(row)!r} is not among the images"
            self._tell(row, 1, "image_dangling", message, "add the image or drop the annotation", image=None)
        for row, code, message, cure in annotations.flaws:
            if not self.unnamed[row] and not (self.nested and images[row] < 0):
                self._tell(row, 3, code, message, cure)
        self.problems += [problem for _, _, problem in sorted(self.found, key=lambda entry: entry[:2])]
        for code, count in self.more.items():
            message, cure = f"the same holds for {count} more annotations, which are not listed", "mend those first"
            file = self.images_read.document
            self.problems.append(Problem(level=self._level(code), code=code, file=file, message=message, cure=cure))
        items = np.flatnonzero(~self.bad & (images >= 0) & (classes != NO_CLASS))
        return AnnotationRows(items, self.ids[items], images[items], classes[items])

    def _tell(self, row: int, rank: int, code: str, message: str, cure: str, **place: Any) -> None:
        self.bad[row] |= code not in self.spare
        self.told[code] += 1
        if self.told[code] > LISTED:
            self.more[code] += 1
            return
        image = place["image"] if "image" in place else self._image(row)
        id_ = place.get("annotation", None if self.ids[row] == NONE else int(self.ids[row]))
        document = self.images_read.document
        problem = Problem(
            level=self._level(code), code=code, file=document, image_id=image, annotation_id=id_, message=message,
            cure=cure,
        )  # fmt: skip
        self.found.append((row, rank, problem))

    def _level(self, code: str) -> Level:
        return "warning" if code in self.spare else "error"

    def _image(self, row: int) -> int | str | None:
        images = self.annotations.images
        return self.images_read.ids.told(int(images.numbers()[row])) if self.nested else images.told(row)

    def _number(self) -> None:
        refs, count = self.annotations.ids, len(self.ids)
        if refs.all_texts():
            self.ids = np.arange(1, count + 1)
            self._note("annotation_texts", f"the ids of the {count} annotations are texts: they are numbered in order")
        absent = [row for row, value in refs.odd.items() if value is None] if self.nested else []
        self.ids[absent] = np.arange(1, len(absent) + 1) + max(0, int(self.ids.max(initial=0)))
        fresh = max(0, int(self.ids.max(initial=0)))
        for row in np.flatnonzero(self.ids < 0).tolist():
            message = f"annotation number {row + 1} has id {refs.shown(row)!r}"
            kept = not isinstance(refs.odd.get(row), Stranger)
            if kept:  # nothing but its name is wrong
                fresh += 1
                message = f"{message}, and is called {fresh} here"
            self._tell(row, 0, "annotation_id", message, "number it", annotation=None)
            if kept:
                self.bad[row], self.ids[row] = False, fresh
        self.unnamed = self.bad.copy()
        order = np.argsort(self.ids, kind="stable")
        again = order[1:][(np.diff(self.ids[order]) == 0) & (self.ids[order][1:] >= 0)]
        if not len(again):
            return
        if self.nested and self._begins_anew():
            self.ids = np.arange(1, count + 1)
            message = "the annotation ids begin anew in each image: all are numbered in their order"
            self._note("annotation_ids_renumbered", message)
            return
        for row in again.tolist():
            message, id_ = f"annotation id {self.ids[row]} is used twice", int(self.ids[row])
            self._tell(row, 2, "annotation_duplicate", message, "renumber one", image=None, annotation=id_)
            self.bad[row] = False  # it is kept: nothing but its name is wrong

    def _begins_anew(self) -> bool:
        """Whether the ids of each image are 1, 2, 3 … or 0, 1, 2 …, as some tools number them."""
        images = self.annotations.images.numbers()  # sorted: they were read image by image
        within = np.arange(len(images)) - np.searchsorted(images, images)
        return bool((self.ids == within).all() or (self.ids == within + 1).all())

    def _note(self, code: str, message: str) -> None:
        file, cure = self.images_read.document, "give every annotation a number of its own"
        self.problems.append(Problem(level="warning", code=code, file=file, message=message, cure=cure))

    def _classes(self, images: Ints) -> Ints:
        annotations = self.annotations
        numbers = annotations.categories.numbers()
        by_name = {category.name: category.id for category in self.categories}
        if annotations.unnumbered:
            numbers = numbers.copy()
            for row, name in annotations.unnumbered.items():
                numbers[row] = by_name.get(name, NONE)
        known = sorted(self.categories, key=lambda category: category.id)
        ids = np.array([category.id for category in known], dtype=np.int64)
        indexes = np.array([-1 if category.index is None else category.index for category in known], dtype=np.int64)
        classes = lookup(numbers, ids, indexes, missing=NO_CLASS)
        unknown = (classes == NO_CLASS) & ~np.isin(numbers, list(self.lost))
        for row in np.flatnonzero(unknown & (images != UNKNOWN) & ~self.unnamed).tolist():
            given = annotations.unnumbered.get(row, annotations.categories.shown(row))
            few = ", ".join(map(str, ids[:12].tolist()))
            cure = f"add it to the categories or use one of: {few or 'none'}"
            self._tell(row, 2, "category_unknown", f"category {given!r} is unknown", cure)
        self._class_names({category.id: category.name for category in known}, by_name)
        return classes

    def _class_names(self, names: dict[int, str], by_name: dict[str, int]) -> None:
        """Compares class_name with category_id: another class's name is an error, a name of none an old one."""
        for (id_, name), (count, row) in self.annotations.class_names.items():
            real = names.get(id_)
            if real is None or name == real or (name in BACKGROUND_NAMES and real in BACKGROUND_NAMES):
                continue
            message = f"{count} annotations of category {id_} ({real!r}) carry the class_name {name!r}"
            if name in by_name:
                message += f", which is category {by_name[name]}"
                self._tell(row, 2, "class_name_differs", message, "correct category_id or class_name")
            else:
                cure = "correct class_name, or drop it"
                file = self.images_read.document
                self.problems.append(
                    Problem(level="warning", code="class_name_differs", file=file, message=message, cure=cure)
                )

    def _keypoint_counts(self, classes: Ints) -> None:
        column = self.annotations.keypoints
        if column is None or not column.numbers:
            return
        sizes = np.frombuffer(column.sizes, dtype=np.int64) // 3
        wanted = {c.index: len(c.keypoints) for c in self.categories if c.index is not None and c.keypoints}
        for index in np.unique(classes[sizes > 0]).tolist():
            of_class = (classes == index) & (sizes > 0)
            expected = wanted.get(index) or int(sizes[np.argmax(of_class)])
            for row in np.flatnonzero(of_class & (sizes != expected)).tolist():
                where = "its category names" if index in wanted else "the first of its class has"
                message = f"{sizes[row]} keypoints, where {where} {expected}"
                column.strange.add(row)
                self._tell(row, 2, "keypoints_count", message, f"write {expected} points, v = 0 for unlabeled ones")
