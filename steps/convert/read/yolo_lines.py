"""Parses the text of many YOLO label files at once into boxes, polygons and keypoints in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import Bools, Floats, Ints
from steps.convert.read.yolo_mistakes import find_bad
from steps.convert.read.yolo_tokens import Form, Lines, tokenize

ASKEW = 0.035  # radians, two degrees: what lies nearer to an axis is taken as straight
SQUARE = 0.05  # how far a rectangle's corners and sides may be off

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Chunk:
    """The good lines of some files as columns, and the bad ones in words."""

    rows: Ints
    classes: Ints
    boxes: Floats
    outlined: Bools
    points: Floats
    lengths: Ints  # points of each polygon
    keypoints: Floats | None
    corners: int = 0
    turned: int = 0
    straight: int = 0
    bad: list[tuple[int, int, str, str, str]] = field(default_factory=list)  # row, line, code, message, cure


def parse_chunk(texts: Sequence[bytes], *, rows: Ints, sizes: Ints, form: Form) -> Chunk | None:
    """Parses files that each end in a line break; None where something in them is no number."""
    lines = tokenize(texts)
    if lines is None:
        return None
    bad = find_bad(lines, sizes, form)
    good = np.ones(len(lines.first), dtype=bool)
    told = [(int(rows[lines.file[at]]), int(lines.number[at]), *what) for at, what in sorted(bad.items())]
    good[list(bad)] = False
    pose = np.zeros(len(good), dtype=bool) if form.pose_width is None else lines.width == form.pose_width
    outlined = (lines.width > 5) & ~pose
    scale = sizes[lines.file].astype(np.float64).reshape(-1, 2)
    boxes = np.empty((len(good), 4))
    plain = good & ~outlined
    fields = lines.numbers[lines.first[plain][:, None] + np.arange(1, 5)] if plain.any() else np.empty((0, 4))
    boxes[plain, :2] = (fields[:, :2] - fields[:, 2:] / 2) * scale[plain]
    boxes[plain, 2:] = fields[:, 2:] * scale[plain]
    chunk = Chunk(rows[lines.file[good]], lines.numbers[lines.first[good]].astype(np.int64), boxes, outlined[good],
                  np.empty((0, 2)), np.empty(0, dtype=np.int64), None, bad=told)  # fmt: skip
    _polygons(chunk, lines, good & outlined, scale, form, boxes)
    chunk.boxes = boxes[good]
    if form.shape and form.keypoints:
        chunk.keypoints = _keypoints(lines, good, scale, form.shape)
    return chunk


def _polygons(chunk: Chunk, lines: Lines, keep: Mask, scale: Floats, form: Form, boxes: Floats) -> None:
    """Fills in the boxes around polygons, and the polygons themselves where they are wanted."""
    if not keep.any():
        return
    mine = np.repeat(keep, lines.width)
    mine[lines.first] = False
    lengths = (lines.width[keep] - 1) // 2
    points = lines.numbers[mine].reshape(-1, 2) * np.repeat(scale[keep], lengths, axis=0)
    starts = np.cumsum(lengths) - lengths
    low = np.minimum.reduceat(points, starts, axis=0)
    boxes[keep, :2] = low
    boxes[keep, 2:] = np.maximum.reduceat(points, starts, axis=0) - low
    four = starts[lengths == 4]
    if len(four):
        chunk.corners = len(four)
        chunk.turned, chunk.straight = _rectangles(points[four[:, None] + np.arange(4)])
    if form.outlines:
        chunk.points, chunk.lengths = points, lengths


def _rectangles(corners: Floats) -> tuple[int, int]:
    """Counts rectangles among shapes of four points: those that stand askew, and those along the axes."""
    sides = np.roll(corners, -1, axis=1) - corners
    lengths = np.hypot(sides[..., 0], sides[..., 1])
    a, b = sides[:, 0], sides[:, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        across = np.abs((a * b).sum(axis=1)) / (lengths[:, 0] * lengths[:, 1])
        apart = np.hypot(*(corners[:, 0] + corners[:, 2] - corners[:, 1] - corners[:, 3]).T)
        right = (across < SQUARE) & (apart < SQUARE * lengths.sum(axis=1) / 2) & (lengths > 0).all(axis=1)
        turn = np.abs(sides[:, 0]).min(axis=1) / lengths[:, 0]
    return int((right & (turn > ASKEW)).sum()), int((right & (turn <= ASKEW)).sum())


def _keypoints(lines: Lines, good: Mask, scale: Floats, shape: tuple[int, int]) -> Floats:
    """Gives x, y, v in pixels; of two numbers, a negative one or 0 0 says that the point is not labeled."""
    count, each = shape
    places = lines.first[good][:, None] + np.arange(5, 5 + count * each)
    table = lines.numbers[places].reshape(-1, count, each)
    found = np.zeros((len(table), count, 3))
    found[..., :2] = table[..., :2] * scale[good][:, None, :]
    if each == 3:
        found[..., 2] = table[..., 2]
    else:
        labeled = (table >= 0).all(axis=-1) & (table > 0).any(axis=-1)
        found[..., 2] = np.where(labeled, 2, 0)
        found[~labeled] = 0
    return found
