"""Collects images as columns while a document is read, with the annotations that stand inside them."""

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import Any

from msgspec import UNSET

from steps.convert.problems import Problem
from steps.convert.read.annotations import Annotations
from steps.convert.read.fields import as_id
from steps.convert.read.refs import Refs


class Images:
    """The images read so far, and what stands inside them."""

    def __init__(self, *, document: str, nested: Annotations) -> None:
        self.document = document
        self.nested = nested
        self.ids = Refs()
        self.names: list[str | None] = []
        self.widths, self.heights = array("q"), array("q")
        self.odd_sizes: dict[int, tuple[Any, Any]] = {}
        self.unlabeled: set[int] = set()
        self.parts: dict[int, str] = {}
        self.masks: dict[int, str] = {}
        self.has_form: list[int] = []  # rows of images that carry a list of annotations, or one
        self.problems: list[Problem] = []

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, items: Sequence[Any]) -> None:
        """Adds records of images in a row."""
        start = len(self.ids)
        ids = [item.id for item in items]
        self.ids.add(ids)
        self.names += [item.file_name for item in items]
        self._add_sizes(items, start)
        for row, split in enumerate([item.split for item in items], start):
            if split is not None:
                self.parts[row] = split
        for row, metadata in enumerate([item.metadata for item in items], start):
            if metadata is not None and metadata.status == "unlabeled":
                self.unlabeled.add(row)
        if any(item.annotations is not UNSET or item.annotation is not UNSET for item in items):
            self._add_nested(items, ids, start)

    def _add_sizes(self, items: Sequence[Any], start: int) -> None:
        widths, heights = [item.width for item in items], [item.height for item in items]
        try:
            self.widths.extend(array("q", widths))
            self.heights.extend(array("q", heights))
        except (TypeError, OverflowError):
            del self.widths[start:], self.heights[start:]
            for row, pair in enumerate(zip(widths, heights, strict=True), start):
                sides = [as_id(side) for side in pair]
                if None in sides:
                    self.odd_sizes[row] = pair
                self.widths.append(sides[0] or 0)
                self.heights.append(sides[1] or 0)

    def _add_nested(self, items: Sequence[Any], ids: list[Any], start: int) -> None:
        lists: list[Sequence[Any]] = []
        for row, item in enumerate(items, start):
            many, one = item.annotations, item.annotation
            if many is None or one is None:
                self.unlabeled.add(row)
            inside = list(many) if many else []
            if one is not None and one is not UNSET:
                if inside:
                    cure = "keep `annotation` or `annotations`"
                    self.tell(row, "forms_disagree", "the image has one annotation and a list of them", cure)
                    inside = []
                elif one.mask_file is not None:
                    self._add_mask(row, one)
                else:
                    inside = [one]
            if many is not UNSET or one is not UNSET:
                self.has_form.append(row)
            lists.append(inside)
        counts = list(map(len, lists))
        rows = list(chain.from_iterable([row] * count for row, count in enumerate(counts, start)))
        parents = list(chain.from_iterable([id_] * count for id_, count in zip(ids, counts, strict=True)))
        self.nested.add(list(chain.from_iterable(lists)), images=rows, parents=parents)

    def _add_mask(self, row: int, one: Any) -> None:
        if one.mask_format not in (None, "indexed_png"):
            cure = "export the masks as indexed PNG"
            self.tell(row, "mask_format", f"the mask has the format {one.mask_format!r}", cure)
        self.masks[row] = one.mask_file

    def tell(self, row: int, code: str, message: str, cure: str) -> None:
        """Notes a finding about an image."""
        id_ = self.ids.told(row)
        problem = Problem(code=code, file=self.document, image_id=id_, message=message, cure=cure)
        self.problems.append(problem)

    def mend(self, value: Any) -> "LooseImage":
        """Gives the record of an entry that does not fit the types; its annotations are mended one by one."""
        return LooseImage(value if isinstance(value, dict) else {}, self.nested)


class LooseImage:
    """An image of which no type is known."""

    __slots__ = ("annotation", "annotations", "file_name", "height", "id", "metadata", "split", "width")

    def __init__(self, entry: dict[str, Any], nested: Annotations) -> None:
        name, split, metadata = entry.get("file_name"), entry.get("split"), entry.get("metadata")
        self.id = entry.get("id")
        self.file_name = name if isinstance(name, str) else None
        self.width, self.height = entry.get("width"), entry.get("height")
        self.split = split if isinstance(split, str) else None
        self.metadata = _Status(metadata) if isinstance(metadata, dict) else None
        many, one = entry.get("annotations", UNSET), entry.get("annotation", UNSET)
        if isinstance(many, list):
            self.annotations: Any = list(map(nested.mend, many))
        else:  # what is no list is told as one malformed annotation
            self.annotations = many if many is None or many is UNSET else [nested.mend(many)]
        self.annotation: Any = one if one is None or one is UNSET else nested.mend(one)


class _Status:
    __slots__ = ("status",)

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.status = metadata.get("status")
