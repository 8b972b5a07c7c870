"""Reads YOLO label files, many at a time, into columns of boxes, polygons and keypoints in pixels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from steps.convert.dataset import Bools, Floats, Ints
from steps.convert.problems import Problem
from steps.convert.read.result import Progress
from steps.convert.read.yolo_lines import Chunk, parse_chunk
from steps.convert.read.yolo_mistakes import without_bad_lines
from steps.convert.read.yolo_tokens import Form
from steps.convert.version import text_content

AT_ONCE = 2**22  # bytes of text parsed together
LARGEST = 2**26  # bytes of one label file: a million boxes


@dataclass(slots=True)
class Labels:
    """The labels of all images, in image order; polygon p has the points first_point[p] up to first_point[p + 1]."""

    rows: Ints
    classes: Ints
    boxes: Floats  # (m, 4): x, y, width, height in pixels
    outlined: Bools  # (m,): whether the label is a polygon
    points: Floats  # (p, 2) in pixels
    first_point: Ints  # (polygons + 1,)
    keypoints: Floats | None
    corners: int = 0  # labels of four points
    turned: int = 0  # of these, rectangles that stand askew
    straight: int = 0  # of these, rectangles along the axes
    contents: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_labels(
    root: Path, names: Sequence[str | None], *, sizes: Ints, form: Form, progress: Progress | None = None
) -> Labels:
    """Reads the label file of each image (None: it has none); what is malformed is left out and told by its line."""
    chunks: list[Chunk] = []
    contents: dict[str, bytes] = {}
    problems: list[Problem] = []
    rows: list[int] = []
    texts: list[bytes] = []
    held = 0

    def parse() -> None:
        nonlocal held
        if rows:
            here = np.array(rows, dtype=np.int64)
            chunk = parse_chunk(texts, rows=here, sizes=sizes[here], form=form)
            if chunk is None:
                cleaned = [without_bad_lines(text) for text in texts]
                for row, (_, found) in zip(rows, cleaned, strict=True):
                    problems.extend(_problem(names[row], row, *bad) for bad in found)
                chunk = parse_chunk([text for text, _ in cleaned], rows=here, sizes=sizes[here], form=form)
                assert chunk is not None
            problems.extend(_problem(names[row], row, *bad) for row, *bad in chunk.bad)
            chunks.append(chunk)
        rows.clear()
        texts.clear()
        held = 0

    for row, name in enumerate(names):
        if name is None:
            continue
        raw = _read(f"{root}/{name}")
        if isinstance(raw, str):
            cure = "export the labels again"
            problems.append(Problem(code="label_unreadable", file=name, image_id=row + 1, message=raw, cure=cure))
            continue
        if raw and not raw.isspace():
            contents[name] = text_content(raw)
            text = raw.removeprefix(b"\xef\xbb\xbf")
            if b"\r" in text:
                text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            rows.append(row)
            texts.append(text + b"\n")
            held += len(text)
        if held >= AT_ONCE:
            parse()
            if progress:
                progress("labels", row + 1, len(names))
    parse()
    if progress:
        progress("labels", len(names), len(names))
    return _joined(chunks, contents=contents, problems=problems, shape=form.shape)


def _read(path: str) -> bytes | str:
    """Gives the bytes of a file, or in words why not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return f"it cannot be opened: {error.strerror}"
    try:
        raw = os.read(descriptor, 65536)
        if len(raw) < 65536:
            return raw
        pieces, length = [raw], len(raw)
        while more := os.read(descriptor, 2**22):
            pieces.append(more)
            length += len(more)
            if length > LARGEST:
                return f"it is larger than {LARGEST >> 20} MB, which no label file is"
        return b"".join(pieces)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)


def _problem(name: str | None, row: int, line: int, code: str, message: str, cure: str) -> Problem:
    return Problem(code=code, file=name, image_id=row + 1, message=f"line {line}: {message}", cure=cure)


def _joined(
    chunks: list[Chunk], *, contents: dict[str, bytes], problems: list[Problem], shape: tuple[int, int] | None
) -> Labels:
    def column(name: str, width: tuple[int, ...], kind: type) -> np.ndarray:
        parts = [getattr(chunk, name) for chunk in chunks]
        return np.concatenate(parts) if parts else np.empty((0, *width), dtype=kind)

    lengths = column("lengths", (), np.int64)
    wanted = bool(shape) and all(chunk.keypoints is not None for chunk in chunks)
    return Labels(
        rows=column("rows", (), np.int64),
        classes=column("classes", (), np.int64),
        boxes=column("boxes", (4,), np.float64),
        outlined=column("outlined", (), np.bool_),
        points=column("points", (2,), np.float64),
        first_point=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        keypoints=column("keypoints", (shape[0], 3), np.float64) if shape and wanted else None,
        corners=sum(chunk.corners for chunk in chunks),
        turned=sum(chunk.turned for chunk in chunks),
        straight=sum(chunk.straight for chunk in chunks),
        contents=contents,
        problems=problems,
    )
