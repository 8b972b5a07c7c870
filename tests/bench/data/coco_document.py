"""Makes a COCO-2017-like annotation document of a chosen size, the same bytes each time, in seconds.

118 000 images: 860 000 annotations with 20.9 vertices on average, 1 % crowd as RLE, 8 % in two polygons, ~400 MB.
Every number becomes an 8-byte cell of a table, so that the text of 36 million coordinates is one numpy gather.
Run it as `python -m tests.bench.data.coco_document [IMAGES]`; it prints the path.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FULL = 118_000
CHUNK = 8_000  # images
PER_IMAGE = 7.37  # annotations; 7.29 once a few have none and none has over 90
VERSION = 4  # of what is made: part of the file's name
MISSING = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # COCO's own gaps below 90
CATEGORIES = [id_ for id_ in range(1, 91) if id_ not in MISSING]
SIZES = np.array([(640, 480), (480, 640), (640, 427), (640, 426), (427, 640), (500, 375), (612, 612)])

Cells = npt.NDArray[np.bytes_]


def cached(images: int = FULL) -> Path:
    """Gives the document's path in the system's temporary folder, and makes it if it is not there."""
    path = Path(tempfile.gettempdir()) / "tiphys-bench" / f"coco-v{VERSION}-{images}" / "instances_train.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        make(part, images)
        os.replace(part, path)
    return path


def make(path: Path, images: int, *, seed: int = 17) -> None:
    """Writes the document."""
    chunks = [(first, min(CHUNK, images - first)) for first in range(0, images, CHUNK)]
    with path.open("wb") as file:
        file.write(b'{"info":{"description":"made by tests/bench/data"},"categories":')
        names = [{"id": id_, "name": f"class {id_}", "supercategory": f"kind {id_ // 10}"} for id_ in CATEGORIES]
        file.write(json.dumps(names).encode())
        file.write(b',"images":[')
        for first, count in chunks:
            file.write(_images(first, _sizes(seed, first, count), last=first + count == images))
        file.write(b'],"annotations":[')
        given = 0
        for first, count in chunks:
            text, made = _annotations(seed, first, count, given)
            file.write(text if first + count < images else text[:-1])
            given += made
        file.write(b"]}")


def _sizes(seed: int, first: int, count: int) -> npt.NDArray[np.int64]:
    return SIZES[np.random.default_rng([seed, first, 0]).integers(0, len(SIZES), count)]


def _images(first: int, sizes: npt.NDArray[np.int64], *, last: bool) -> bytes:
    rows = [
        f'{{"license":3,"file_name":"{n:012d}.jpg","coco_url":"http://images.example.org/train/{n:012d}.jpg",'
        f'"height":{h},"width":{w},"date_captured":"2013-11-14 11:18:45","id":{n}}}'
        for n, (w, h) in enumerate(sizes.tolist(), first + 1)
    ]
    return ",".join(rows).encode() + (b"" if last else b",")


def _annotations(seed: int, first: int, count: int, given: int) -> tuple[bytes, int]:
    """Gives the text of the annotations of a chunk of images, each followed by a comma, and their number."""
    rng = np.random.default_rng([seed, first, 1])
    per_image = np.minimum(rng.geometric(1 / PER_IMAGE, count), 90)
    per_image[rng.random(count) < 0.009] = 0  # as in COCO, some images have none
    image = np.repeat(np.arange(count), per_image)
    n = len(image)
    size = _sizes(seed, first, count)[image]
    extent = np.clip(np.exp(rng.normal(-1.7, 0.8, (n, 2))), 0.02, 0.95) * size
    corner = rng.random((n, 2)) * (size - extent)
    crowd = rng.random(n) < 0.01
    double = ~crowd & (rng.random(n) < 0.08)
    # The vertices of all rings: points on a wobbling ellipse within the ring's half, or whole, of the box.
    ring_of = np.repeat(np.arange(n), np.where(crowd, 0, 1 + double))
    second = np.concatenate([[False], ring_of[1:] == ring_of[:-1]]) if len(ring_of) else np.zeros(0, bool)
    vertices = np.minimum(3 + rng.negative_binomial(1.6, 0.0891, len(ring_of)), 400)
    at = np.repeat(np.arange(len(ring_of)), vertices)
    starts = np.cumsum(vertices) - vertices
    angle = (np.arange(len(at)) - starts[at] + rng.random(len(at)) * 0.8) / vertices[at] * 2 * np.pi
    radius = 0.5 * (0.7 + 0.3 * rng.random(len(at)))
    unit = 0.5 + np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None]
    halved = double[ring_of]
    unit[:, 0] = np.where(halved[at], unit[:, 0] * 0.5 + 0.5 * second[at], unit[:, 0])
    points = np.rint((corner[ring_of[at]] + unit * extent[ring_of[at]]) * 100).astype(np.int64)
    box = np.rint(np.concatenate([corner, extent], 1) * 100).astype(np.int64)
    if len(at):
        whole = np.flatnonzero(~crowd)
        begin = starts[~second]
        low, high = np.minimum.reduceat(points, begin), np.maximum.reduceat(points, begin)
        box[whole] = np.concatenate([low, high - low], 1)
    category = np.array(CATEGORIES)[np.minimum(rng.zipf(1.3, n) - 1, len(CATEGORIES) - 1)]
    runs = _runs(rng, size[crowd])

    # How many cells each annotation takes, and where it starts.
    head, tail = _word('{"segmentation":'), _word(',"area":')
    coordinates = np.zeros(n, np.int64)
    np.add.at(coordinates, ring_of, 2 * vertices)
    body = np.where(crowd, 0, coordinates + 1 + np.where(double, 1, 0) + 1)
    body[crowd] = [len(cells) for cells in runs]
    after = [
        _word(',"iscrowd":'),
        _word(',"image_id":'),
        _word(',"bbox":['),
        _word('],"category_id":'),
        _word(',"id":'),
    ]
    fixed = len(head) + len(tail) + 1 + len(after[0]) + 1 + len(after[1]) + 1 + len(after[2]) + 4 + len(after[3]) + 1
    fixed += len(after[4]) + 1 + 1
    start = np.cumsum(body + fixed) - (body + fixed)
    out = np.zeros(int((body + fixed).sum()), dtype="S8")

    _put(out, start, head)
    inner = start + len(head)
    plain = np.flatnonzero(~crowd)
    out[inner[plain]] = b"[["
    ring_start = inner[ring_of] + 1
    earlier = np.concatenate([[0], vertices[:-1]]) if len(vertices) else vertices
    ring_start += np.where(second, 2 * earlier + 1, 0)
    out[ring_start[second] - 1] = b"],["
    spots = ring_start[at] + 2 * (np.arange(len(at)) - starts[at])
    out[spots] = _hundredths()[points[:, 0]]
    closing = np.zeros(len(at), bool)
    closing[starts + vertices - 1] = True
    out[spots + 1] = np.where(closing, _hundredths(comma=False)[points[:, 1]], _hundredths()[points[:, 1]])
    out[inner[plain] + body[plain] - 1] = b"]]"
    for row, cells in zip(np.flatnonzero(crowd), runs, strict=True):
        out[inner[row] : inner[row] + len(cells)] = cells

    spot = start + len(head) + body
    area = np.minimum(box[:, 2] * box[:, 3] // 100 * 6 // 10, 64_000_00)
    for words, number in (
        (tail, _integers(area // 100)),
        (after[0], np.where(crowd, b"1", b"0").astype("S8")),
        (after[1], _integers(image + first + 1)),
    ):
        _put(out, spot, words)
        out[spot + len(words)] = number
        spot = spot + len(words) + 1
    _put(out, spot, after[2])
    spot = spot + len(after[2])
    for column in range(4):
        out[spot + column] = _hundredths(comma=column < 3)[box[:, column]]
    spot = spot + 4
    for words, number in ((after[3], _integers(category)), (after[4], _integers(np.arange(n) + given + 1))):
        _put(out, spot, words)
        out[spot + len(words)] = number
        spot = spot + len(words) + 1
    out[spot] = b"},"
    # Cells are padded with NUL, which no JSON holds.
    return out.tobytes().translate(None, b"\0"), n


def _runs(rng: np.random.Generator, sizes: npt.NDArray[np.int64]) -> list[Cells]:
    """Gives the cells of one RLE a size: run lengths that add up to the whole image."""
    found = []
    for width, height in sizes.tolist():
        cuts = np.unique(rng.integers(1, width * height, int(rng.integers(60, 500))))
        lengths = np.diff(np.concatenate([[0], cuts, [width * height]]))
        numbers = _integers(lengths)
        text = np.char.add(numbers, np.where(np.arange(len(numbers)) < len(numbers) - 1, b",", b"").astype("S1"))
        end = _word(f'],"size":[{height},{width}]}}')
        found.append(np.concatenate([_word('{"counts":['), text.astype("S8"), end]))
    return found


def _put(out: Cells, start: npt.NDArray[np.int64], words: Cells) -> None:
    for offset, cell in enumerate(words):
        out[start + offset] = cell


def _word(text: str) -> Cells:
    raw = text.encode()
    return np.array([raw[n : n + 8] for n in range(0, len(raw), 8)], dtype="S8")


@cache
def _hundredths(*, comma: bool = True) -> Cells:
    """Gives the cells of 0, 0.01 … 640.00 as COCO writes them."""
    end = "," if comma else ""
    return np.array([f"{n / 100:g}{end}" if n % 100 else f"{n // 100}{end}" for n in range(64_100)], dtype="S8")


def _integers(values: npt.NDArray[Any]) -> Cells:
    return values.astype("S8")


if __name__ == "__main__":
    print(cached(int(sys.argv[1]) if len(sys.argv) > 1 else FULL))
