"""Makes YOLO's label lines of boxes, of keypoints and of outlines, as bytes and as the numbers that were meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from steps.convert.check.outlines import THIN
from steps.convert.dataset import Dataset, Ints
from steps.convert.write.digits import Bytes, Millionths, cells, class_tokens, millionths
from steps.convert.write.outlines import Outliner
from steps.convert.write.proof import Account

VISIBLE = 2  # the largest value of a keypoint's visibility
EDGE = 1.0  # pixels by which a keypoint may lie outside: the rounding of the tools that set it


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some label lines: their text, the byte behind each, and the numbers they are meant to say."""

    text: bytes
    ends: Ints
    classes: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.int32]
    counts: Ints  # numbers in each line, without the class


class LineMaker(Protocol):
    """Makes the lines of some annotations, one for each."""

    weight: Ints | None  # how large each annotation's line is, where they differ much

    def __init__(self, dataset: Dataset, account: Account) -> None:
        """Takes the dataset, and leaves out of the account what has no line."""

    def lines(self, rows: Ints) -> Block:
        """Gives one line for each annotation row, in that order."""


class BoxLines:
    """`class cx cy w h`."""

    weight: Ints | None = None

    def __init__(self, dataset: Dataset, account: Account) -> None:
        self.dataset, self.account = dataset, account
        self.tokens = class_tokens(len(dataset.classes))
        leave_crowd(dataset, account)
        bare = ~np.isfinite(dataset.boxes).all(axis=1)
        account.leave("no_box", np.flatnonzero(bare), "they have no box")
        sizes = dataset.image_sizes[dataset.annotation_image]
        with np.errstate(invalid="ignore"):
            thin = (dataset.boxes[:, 2:] < THIN * sizes).any(axis=1)
        why = "a side is under half a millionth of the image's, and a label has six decimals"
        account.leave("too_thin", np.flatnonzero(thin), why)

    def lines(self, rows: Ints) -> Block:
        """Gives one line for each box."""
        shares = self.shares(rows)
        return block(self.tokens, self.dataset.annotation_class[rows], [cells(shares).reshape(-1, 36)], shares)

    def shares(self, rows: Ints) -> Millionths:
        """Gives centre and extent of each box in millionths of the image's sides."""
        boxes = self.dataset.boxes[rows]
        sizes = self.dataset.image_sizes[self.dataset.annotation_image[rows]].astype(np.float64)
        shares = np.concatenate([(boxes[:, :2] + boxes[:, 2:] / 2) / sizes, boxes[:, 2:] / sizes], axis=1)
        outside = ((shares < 0) | (shares > 1)).any(axis=1)
        if outside.any():
            self.account.change("clipped", rows[outside], "they reach beyond the image and are cut at its edge")
            low, high = np.clip(boxes[:, :2], 0, sizes), np.clip(boxes[:, :2] + boxes[:, 2:], 0, sizes)
            shares = np.concatenate([(low + high) / 2 / sizes, (high - low) / sizes], axis=1)
        return millionths(shares)


class PoseLines(BoxLines):
    """`class cx cy w h` and `x y v` for each keypoint; points that nobody set are `0 0 0`."""

    def lines(self, rows: Ints) -> Block:
        """Gives one line for each object."""
        boxes = self.shares(rows)
        places, seen = self.points(rows)
        count = seen.shape[1]
        text = np.empty((len(rows), count, 20), dtype=np.uint8)
        text[:, :, :18] = cells(places).reshape(len(rows), count, 18)
        text[:, :, 18] = 32
        text[:, :, 19] = seen + 48
        numbers = np.concatenate([places, seen[:, :, None]], axis=2).reshape(len(rows), 3 * count)
        columns = [cells(boxes).reshape(-1, 36), text.reshape(len(rows), 20 * count)]
        numbers = np.concatenate([boxes, numbers], axis=1)
        return block(self.tokens, self.dataset.annotation_class[rows], columns, numbers)

    def points(self, rows: Ints) -> tuple[Millionths, npt.NDArray[np.int32]]:
        """Gives places in millionths and visibility; what lies outside the image is not set."""
        assert self.dataset.keypoints is not None
        points = self.dataset.keypoints[rows]
        sizes = self.dataset.image_sizes[self.dataset.annotation_image[rows]].astype(np.float64)[:, None, :]
        with np.errstate(invalid="ignore"):
            inside = ((points[..., :2] >= -EDGE) & (points[..., :2] <= sizes + EDGE)).all(axis=2)
        seen = np.where(inside, np.clip(np.nan_to_num(points[..., 2]), 0, VISIBLE), 0).astype(np.int32)
        lost = ~inside & (np.nan_to_num(points[..., 2]) > 0)
        why = "they lie outside the image, so they are written as not labeled"
        self.account.drop("keypoints_outside", "keypoints", int(lost.sum()), rows[lost.any(axis=1)].tolist(), why)
        moved = inside & ((points[..., :2] < 0) | (points[..., :2] > sizes)).any(axis=2)
        self.account.change("clipped", rows[moved.any(axis=1)], "they reach beyond the image and are cut at its edge")
        places = np.where(inside[..., None], np.clip(points[..., :2] / sizes, 0, 1), 0.0)
        return millionths(places), seen


class OutlineLines:
    """`class x1 y1 x2 y2 …`: one ring for each object."""

    def __init__(self, dataset: Dataset, account: Account) -> None:
        self.dataset = dataset
        self.tokens = [f"{index}".encode() for index in range(len(dataset.classes))]
        leave_crowd(dataset, account)
        self.outliner = Outliner(dataset, account)
        self.weight: Ints | None = self.outliner.weight

    def lines(self, rows: Ints) -> Block:
        """Gives one line for each object."""
        shares, counts = self.outliner.shares(rows)
        numbers = millionths(shares)
        text = memoryview(cells(numbers).data)
        classes = self.dataset.annotation_class[rows]
        stops = (np.cumsum(counts) * 18).tolist()
        pieces: list[bytes | memoryview] = []
        start = 0
        for index, stop in zip(classes.tolist(), stops, strict=True):
            pieces += (self.tokens[index], text[start:stop], b"\n")
            start = stop
        widths = np.array([len(token) for token in self.tokens], dtype=np.int64)[classes]
        return Block(
            text=b"".join(pieces),
            ends=np.cumsum(widths + counts * 18 + 1),
            classes=classes.astype(np.int32),
            numbers=numbers.reshape(-1),
            counts=counts * 2,
        )


def leave_crowd(dataset: Dataset, account: Account) -> None:
    """Leaves crowds out: the format has no word for them, and taken as single objects they would teach nonsense."""
    why = "crowds (iscrowd 1) cannot be told from single objects in this format"
    account.leave("crowd", np.flatnonzero(dataset.annotation_crowd), why)


def block(tokens: npt.NDArray[np.bytes_], classes: Ints, columns: Sequence[Bytes], numbers: Millionths) -> Block:
    """Puts lines of one width together: class, columns, end of line; then takes the blanks before short classes out."""
    width = tokens.dtype.itemsize
    heads = tokens[classes].view(np.uint8).reshape(len(classes), width)
    ends = np.full((len(classes), 1), 10, dtype=np.uint8)
    lines = np.concatenate([heads, *columns, ends], axis=1)
    sizes = np.full(len(classes), lines.shape[1], dtype=np.int64)
    if width > 1:
        padding = heads == 32
        keep = np.ones(lines.shape, dtype=bool)
        keep[:, :width] = ~padding
        sizes -= padding.sum(axis=1)
        lines = lines[keep]
    return Block(
        text=lines.tobytes(),
        ends=np.cumsum(sizes),
        classes=classes.astype(np.int32),
        numbers=numbers.reshape(-1),
        counts=np.full(len(classes), numbers.shape[1], dtype=np.int64),
    )
