"""Turns outlines, masks and keypoints as documents write them into ragged columns, and says which are malformed."""

import json
import math
from array import array
from collections.abc import Callable, Sequence
from itertools import chain, compress
from typing import Any

import msgspec
import numpy as np

from steps.convert.dataset import Floats, Ints, Outlines, Rle
from steps.convert.read.fields import as_id, finite, is_number
from steps.convert.read.records import RunLengths, Shape
from steps.convert.read.ring_text import read_rings
from steps.convert.read.rle import RleColumn, decode_counts, gather

Tell = Callable[[int, str, str, str], None]  # annotation row, code, message, cure
Column = array | np.ndarray
SHAPES = msgspec.json.Decoder(list[Shape])  # type: ignore[misc]
MASKS = msgspec.json.Decoder(list[RunLengths])

POLYGON_CURE = "write [[x1, y1, x2, y2, x3, y3, …]], one list for each part"
MASK_CURE = 'write {"size": [height, width], "counts": run lengths}'
KEYPOINTS_CURE = "write three numbers for each point: x, y and v (0, 1 or 2)"
MOST_POINTS = 1000
MOST_PIXELS = 1 << 31  # of the image that a mask is made for
MOST_NUMBERS = 1 << 28  # of all outlines, two for each point: 2 GiB, fifteen times as much as COCO's


class TooManyPoints(Exception):
    """Outlines that would not fit into the memory of a worker."""


class OutlineColumn:
    """Collects polygons and masks in the order of the annotations."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.points = array("d")
        self.ring_sizes = array("q")  # numbers, two for each point
        self.ring_counts = array("q")
        self.masks: dict[int, Rle] = {}

    def add(self, given: Sequence[Any], *, careful: bool) -> None:
        """Adds what stands under `segmentation` for annotations in a row, as texts; `careful` trusts no type."""
        start = len(self.ring_counts)
        try:
            if careful:
                raise _Unusual
            texts = [b"null" if shape is msgspec.UNSET else bytes(shape) for shape in given]
            if not self._add_texts(texts, start):
                self._add_plain(SHAPES.decode(b"[" + b",".join(texts) + b"]"), start)
        except (msgspec.DecodeError, _Unusual):
            cleaned = [self._clean(row, _loosely(shape)) for row, shape in enumerate(given, start)]
            self._add_plain(cleaned, start)

    def _add_texts(self, texts: list[bytes], start: int) -> bool:
        """Reads plain polygons all at once, masks by their type; adds nothing where there is anything else."""
        if b"[]" in texts:
            texts = [b"null" if text == b"[]" else text for text in texts]
        kinds = np.frombuffer(bytes([text[0] for text in texts]), dtype=np.uint8)
        outlined, masked = kinds == ord("["), np.flatnonzero(kinds == ord("{")).tolist()
        absent = int((kinds == ord("n")).sum())
        if int(outlined.sum()) + len(masked) + absent < len(texts):
            return False
        masks = {start + at: texts[at] for at in masked}
        rings = read_rings(list(compress(texts, outlined.tolist())))
        if rings is None or (rings.sizes % 2).any():
            return False
        runs = MASKS.decode(b"[" + b",".join(masks.values()) + b"]") if masks else []
        counts = np.zeros(len(texts), dtype=np.int64)
        counts[outlined] = rings.counts
        self._extend(rings.numbers, rings.sizes, counts)
        self._add_masks(dict(zip(masks, runs, strict=True)))
        return True

    def _add_plain(self, given: Sequence[Any], start: int) -> None:
        rings: list[list[float]] = []
        counts = array("q")
        masks: dict[int, RunLengths] = {}
        for row, shape in enumerate(given, start):
            if type(shape) is list and shape:
                if type(shape[0]) is list:
                    rings += shape
                    counts.append(len(shape))
                else:  # one flat polygon, as D3 has it
                    rings.append(shape)
                    counts.append(1)
            else:
                counts.append(0)
                if shape:
                    masks[row] = shape
        try:
            sizes = array("q", map(len, rings))
            lengths = np.array(sizes)
            if (lengths % 2).any() or not lengths.all():
                raise _Unusual
            points = array("d", list(chain.from_iterable(rings)))
        except TypeError:  # numbers among rings, or rings among numbers
            raise _Unusual from None
        self._extend(points, sizes, counts)
        self._add_masks(masks)

    def _extend(self, points: Column, sizes: Column, counts: Column) -> None:
        if len(self.points) + len(points) > MOST_NUMBERS:
            raise TooManyPoints
        self.points.frombytes(memoryview(points).cast("B"))
        self.ring_sizes.frombytes(memoryview(sizes).cast("B"))
        self.ring_counts.frombytes(memoryview(counts).cast("B"))

    def _clean(self, row: int, shape: Any) -> Any:
        """Gives rings of an even count of numbers or a mask; what is malformed is told and left out."""
        if shape is None or isinstance(shape, RunLengths):
            return shape
        if isinstance(shape, dict):
            size, counts = shape.get("size"), shape.get("counts")
            numbers = isinstance(counts, list) and all(as_id(count) is not None for count in counts)
            if isinstance(size, list) and len(size) == 2 and (numbers or isinstance(counts, str)):
                sides = [as_id(side) for side in size]
                if None not in sides:
                    return RunLengths(sides, [as_id(c) for c in counts] if numbers else counts)  # type: ignore[arg-type]
            self.tell(row, "mask_malformed", "the mask is no run lengths of a size", MASK_CURE)
            return None
        if not isinstance(shape, list):
            self.tell(row, "polygon_malformed", f"segmentation is {str(shape)[:40]!r}", POLYGON_CURE)
            return None
        rings = shape if any(isinstance(ring, list) for ring in shape) else [shape]
        good = []
        for ring in rings:
            if not isinstance(ring, list) or not all(map(is_number, ring)):
                self.tell(row, "polygon_malformed", f"a polygon is {str(ring)[:40]}", POLYGON_CURE)
            elif len(ring) % 2:
                self.tell(row, "polygon_malformed", f"a polygon has {len(ring)} numbers, an odd count", POLYGON_CURE)
            elif ring:
                good.append([finite(number) for number in ring])
        return good

    def _add_masks(self, masks: dict[int, RunLengths]) -> None:
        texts = {row: mask.counts for row, mask in masks.items() if isinstance(mask.counts, str)}
        decoded = dict(zip(texts, decode_counts(list(texts.values())), strict=True))
        for row, mask in masks.items():
            counts = _run_lengths(decoded.get(row, mask.counts))
            sides = mask.size
            sound = len(sides) == 2 and all(0 < side < 1 << 20 for side in sides) and math.prod(sides) < MOST_PIXELS
            if counts is None or not sound:
                self.tell(row, "mask_malformed", "the run lengths of the mask cannot be read", MASK_CURE)
            else:
                self.masks[row] = Rle(sides[0], sides[1], counts)

    def outlines(self) -> Outlines | None:
        """Gives the polygons of all annotations; None where there are none."""
        if not self.ring_sizes:
            return None
        sizes, counts = (np.frombuffer(column, dtype=np.int64) for column in (self.ring_sizes, self.ring_counts))
        first_point = np.concatenate(([0], np.cumsum(sizes // 2)))
        first_ring = np.concatenate(([0], np.cumsum(counts)))
        points = np.frombuffer(self.points, dtype=np.float64).reshape(-1, 2)
        return Outlines(points=points, first_point=first_point, first_ring=first_ring)

    def rles(self) -> RleColumn:
        """Gives the masks by annotation row."""
        return RleColumn.of(self.masks)


class KeypointColumn:
    """Collects keypoints, flat or as triples, in the order of the annotations."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.numbers = array("d")
        self.sizes = array("q")
        self.strange: set[int] = set()  # rows with another number of points than their class has: they are left out

    def add(self, given: Sequence[Any], *, careful: bool) -> None:
        """Adds what stands under `keypoints` for annotations in a row; `careful` trusts no type."""
        try:
            if careful:
                raise _Unusual
            flat = array("d", list(chain.from_iterable(points or () for points in given)))
            sizes = array("q", [len(points) if points else 0 for points in given])
            if (np.array(sizes) % 3).any() or max(sizes, default=0) > 3 * MOST_POINTS:
                raise _Unusual
        except (TypeError, _Unusual):
            start = len(self.sizes)
            cleaned = [self._clean(row, points) for row, points in enumerate(given, start)]
            flat = array("d", list(chain.from_iterable(cleaned)))
            sizes = array("q", map(len, cleaned))
        self.numbers.extend(flat)
        self.sizes.extend(sizes)

    def _clean(self, row: int, points: Any) -> list[float]:
        if points is None or points == []:
            return []
        if not isinstance(points, list):
            self.tell(row, "keypoints_malformed", f"keypoints is {str(points)[:40]!r}", KEYPOINTS_CURE)
            return []
        if any(isinstance(point, list) for point in points):
            if not all(isinstance(point, list) and len(point) == 3 for point in points):
                self.tell(row, "keypoints_malformed", "a keypoint is not three numbers", KEYPOINTS_CURE)
                return []
            points = list(chain.from_iterable(points))
        if not all(map(is_number, points)):
            self.tell(row, "keypoints_malformed", f"keypoints are {str(points)[:40]}", KEYPOINTS_CURE)
        elif len(points) % 3:
            self.tell(row, "keypoints_malformed", f"keypoints are {len(points)} numbers", KEYPOINTS_CURE)
        elif len(points) > 3 * MOST_POINTS:
            self.tell(row, "keypoints_malformed", f"{len(points) // 3} keypoints are too many", KEYPOINTS_CURE)
        else:
            return [finite(number) for number in points]
        return []

    def table(self, rows: Ints | None = None, *, widest: int = 0) -> Floats | None:
        """Gives (annotations, points, 3), NaN where there is no point; None where nobody has one.

        Of some `rows` only those are looked at: one annotation of a thousand points makes all the others as wide.
        """
        if not self.numbers:
            return None
        sizes: Ints = np.frombuffer(self.sizes, dtype=np.int64) // 3
        starts = np.concatenate(([0], np.cumsum(sizes)))
        rows = np.arange(len(sizes)) if rows is None else rows
        rows = np.where(np.isin(rows, list(self.strange)), len(sizes), rows) if self.strange else rows
        places, first = gather(np.arange(starts[-1]), np.append(starts, starts[-1]), rows)
        counts = np.diff(first)
        table = np.full((len(rows), max(widest, int(counts.max(initial=0))), 3), np.nan)
        within = np.arange(len(places)) - np.repeat(first[:-1], counts)
        triples = np.frombuffer(self.numbers, dtype=np.float64).reshape(-1, 3)
        table[np.repeat(np.arange(len(rows)), counts), within] = triples[places]
        return table


def _loosely(shape: Any) -> Any:
    """Gives what a text says, whatever it is; what was read already as it is."""
    if shape is msgspec.UNSET:
        return None
    if not isinstance(shape, msgspec.Raw):
        return shape
    try:
        return json.loads(bytes(shape))
    except (RecursionError, ValueError):  # a number of thousands of digits
        return bytes(shape).decode("utf-8", "replace")


class _Unusual(Exception):
    """Something in a row of annotations that is to be looked at one by one."""


def _run_lengths(counts: Any) -> Ints | None:
    if counts is None:
        return None
    try:
        numbers = np.array(counts, dtype=np.int64)
    except (OverflowError, ValueError, TypeError):
        return None
    return numbers if numbers.ndim == 1 and (numbers >= 0).all() and (numbers < 1 << 31).all() else None
