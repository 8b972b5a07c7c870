"""Keeps the account of one conversion, and proves from the bytes that were written that nothing was lost on the way."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import NO_PART, Bools, Dataset, Ints
from steps.convert.split.request import PARTS
from steps.convert.write.selection import Selection

NAMED = 20  # ids that are told of each kind
# What no target is meant to hold: leaving it out loses nothing.
NO_LABELS = frozenset({"background", "unlabeled", "not_in_split", "of_images_left_out"})


class ProofFailed(Exception):
    """What was written does not say what the dataset says: a fault of the converter, never of the dataset."""

    def __init__(self, message: str) -> None:
        super().__init__(
            f"the conversion is not lossless: {message}; this is a fault of the converter: please report it"
        )


@dataclass(slots=True)
class _Kind:
    unit: str
    why: str
    count: int = 0
    ids: list[Any] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        return {"count": self.count, "unit": self.unit, "why": self.why, "ids": self.ids[:NAMED]}


class Account:
    """What goes in, what comes out, and what is left out or changed on the way, by kind."""

    def __init__(
        self, dataset: Dataset, selection: Selection, *, covers: Sequence[str], resolution: str, whole: bool = False
    ) -> None:
        self.dataset, self.selection = dataset, selection
        self.covers, self.resolution = list(covers), resolution
        self._left: dict[str, _Kind] = {}
        self._changed: dict[str, _Kind] = {}
        self._in, self._out = hashlib.sha256(), hashlib.sha256()
        self._parts = dataset_parts(dataset, selection)
        self._wanted = np.ones(len(dataset.annotation_ids), dtype=bool)
        self._present = np.ones(len(dataset.image_ids), dtype=bool)
        self._counted: dict[str, npt.NDArray[np.int64]] = {}
        self._images: dict[str, int] = {}
        if whole:
            return  # the target holds everything: unlabeled images and background annotations, too
        where = selection.image_part
        unlabeled = ~dataset.image_labeled
        self.leave_images("unlabeled", np.flatnonzero((where == NO_PART) & unlabeled), "nobody has labeled them yet")
        why = "the split leaves them out"
        self.leave_images("not_in_split", np.flatnonzero((where == NO_PART) & ~unlabeled), why)
        outside = where[dataset.annotation_image] == NO_PART
        self.leave("of_images_left_out", np.flatnonzero(outside), "their images are left out")
        background = (dataset.annotation_class < 0) & ~outside
        self.leave("background", np.flatnonzero(background), "they say that an image shows no class: it stays, empty")

    @property
    def wanted(self) -> Bools:
        """Marks the annotations that nothing has left out so far."""
        return self._wanted

    def leave(self, kind: str, rows: Ints, why: str) -> None:
        """Leaves annotations out, and says why; a row that is out already is not counted again."""
        rows = rows[self._wanted[rows]]
        if len(rows):
            self._wanted[rows] = False
            entry = self._left.setdefault(kind, _Kind("annotations", why))
            entry.count += len(rows)
            entry.ids += self.dataset.annotation_ids[rows[:NAMED]].tolist()

    def leave_images(self, kind: str, rows: Ints, why: str) -> None:
        """Counts images that the target does not get."""
        if len(rows):
            self._present[rows] = False
            entry = self._left.setdefault(kind, _Kind("images", why))
            entry.count += len(rows)
            keys = self.dataset.image_keys
            entry.ids += [keys[row] if keys else int(self.dataset.image_ids[row]) for row in rows[:NAMED].tolist()]

    def drop(self, kind: str, unit: str, count: int, rows: Iterable[int], why: str) -> None:
        """Counts parts of annotations that are left out while the annotation stays: rings, points, holes."""
        if count:
            entry = self._left.setdefault(kind, _Kind(unit, why))
            entry.count += count
            entry.ids += self.dataset.annotation_ids[list(rows)[:NAMED]].tolist()

    def change(self, kind: str, rows: Ints, why: str) -> None:
        """Counts annotations that the target holds in another form."""
        if len(rows):
            entry = self._changed.setdefault(kind, _Kind("annotations", why))
            entry.count += len(rows)
            entry.ids += self.dataset.annotation_ids[rows[:NAMED]].tolist()

    def same(self, what: str, meant: npt.NDArray[Any], written: npt.NDArray[Any]) -> None:
        """Takes the numbers that were meant and those read back from the bytes; raises ProofFailed if they differ."""
        for digest, numbers in ((self._in, meant), (self._out, written)):
            digest.update(f"{what} {numbers.dtype} {numbers.shape}".encode())
            digest.update(np.ascontiguousarray(numbers).data)
        equal = (
            np.array_equal(meant, written, equal_nan=True)
            if meant.dtype.kind == "f"
            else np.array_equal(meant, written)
        )
        if not equal:
            raise ProofFailed(f"{what}: {_first(meant, written)}")

    def count(self, part: str, *, images: int, classes: npt.NDArray[Any]) -> None:
        """Counts what was read back from the bytes of one part: its images and the class of each label."""
        size = len(self.dataset.classes)
        if len(classes) and not 0 <= int(classes.min()) <= int(classes.max()) < size:
            raise ProofFailed(f"a label in {part} has a class that the dataset does not have")
        found = np.bincount(classes, minlength=size)
        self._counted[part] = self._counted.get(part, 0) + found
        self._images[part] = self._images.get(part, 0) + images

    def proof(self) -> dict[str, Any]:
        """Closes the account: gives the record, or raises ProofFailed where it does not balance."""
        names = [category.name for category in self.dataset.classes]
        went, came = {}, {}
        for part, rows in self.selection.rows.items():
            # Counted from the dataset's own columns, by no way that a writer has taken.
            place = 0 if part == "all" else PARTS.index(part)
            here = self._wanted & (self._parts == place) & (self.dataset.annotation_class >= 0)
            meant = np.bincount(self.dataset.annotation_class[here], minlength=len(names))
            found = self._counted.get(part, np.zeros(len(names), dtype=np.int64))
            went[part] = _counts(int(self._present[rows].sum()), meant, names)
            came[part] = _counts(self._images.get(part, 0), found, names)
        if went != came:
            raise ProofFailed(f"{went} went in, {came} came out")
        checks = [f"sha256:{digest.hexdigest()}" for digest in (self._in, self._out)]
        if checks[0] != checks[1]:
            raise ProofFailed(f"checksum {checks[0]} went in, {checks[1]} came out")
        return {
            "lossless": self._left.keys() <= NO_LABELS and not self._changed,
            "covers": self.covers,
            "resolution": self.resolution,
            "counts": {"in": went, "out": came},
            "left_out": {kind: entry.facts() for kind, entry in sorted(self._left.items())},
            "changed": {kind: entry.facts() for kind, entry in sorted(self._changed.items())},
            "checksum_in": checks[0],
            "checksum_out": checks[1],
        }


def dataset_parts(dataset: Dataset, selection: Selection) -> npt.NDArray[np.int8]:
    """Gives the part of each annotation's image."""
    parts: npt.NDArray[np.int8] = selection.image_part[dataset.annotation_image]
    return parts


def _counts(images: int, classes: npt.NDArray[Any], names: list[str]) -> dict[str, Any]:
    return {
        "images": images,
        "annotations": int(classes.sum()),
        "per_class": dict(zip(names, classes.tolist(), strict=True)),
    }


def _first(meant: npt.NDArray[Any], written: npt.NDArray[Any]) -> str:
    if meant.shape != written.shape:
        return f"{meant.shape} numbers were meant, {written.shape} written"
    at = tuple(int(place[0]) for place in np.nonzero(meant != written))
    return f"number {at} was meant as {meant[at]}, written as {written[at]}"
