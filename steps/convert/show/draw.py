"""Draws the labels of an image: boxes, outlines, masks and keypoints, in the colour of their class."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from steps.convert.check.masks import mask_path
from steps.convert.dataset import Dataset, Rle
from steps.convert.show.colours import Colour, colour, ink
from steps.convert.show.text import fitted, width, write

FINE = 2  # drawn so many times larger and scaled down: smooth lines
FAR = 1 << 14  # pixels beyond which a corner is drawn no further out: nobody sees it, and every row up to it costs time
TAG = 13  # pixels of the text of a tag
CROWDED = 14  # labels from which a tag holds the class index alone


def draw_labels(picture: Image.Image, dataset: Dataset, rows: Sequence[int], scale: float) -> Image.Image:
    """Gives the picture with the labels of some annotation rows; `scale` is its size against the dataset's pixels."""
    layer = picture.resize((picture.width * FINE, picture.height * FINE), Image.Resampling.BILINEAR)
    large = scale * FINE
    fill = Image.new("RGBA", layer.size, (0, 0, 0, 0))
    # The largest first: what lies on it stays visible.
    ordered = sorted(rows, key=lambda at: -_area(dataset, at))
    for at in ordered:
        _fill(fill, dataset, at, large)
    layer = Image.alpha_composite(layer.convert("RGBA"), fill).convert("RGB")
    draw = ImageDraw.Draw(layer)
    for at in ordered:
        _lines(draw, dataset, at, large)
    done = layer.resize(picture.size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(done)
    taken: list[tuple[float, float, float, float]] = []
    for at in ordered:
        _tag(draw, dataset, at, scale, done.size, taken, brief=len(ordered) > CROWDED)
    return done


def draw_mask(picture: Image.Image, dataset: Dataset, row: int, root: object) -> Image.Image:
    """Gives the picture with its mask file laid over it in the colours of the classes."""
    path = mask_path(root, dataset, row)  # type: ignore[arg-type]
    if path is None:
        return picture
    try:
        with Image.open(path) as image:
            values = np.asarray(image.resize(picture.size, Image.Resampling.NEAREST))
    except Exception:  # a mask that cannot be decoded is told by the check
        return picture
    if values.ndim != 2:
        return picture
    shown = np.zeros((*values.shape, 4), dtype=np.uint8)
    for category in dataset.classes:
        shown[values == category.id] = (*colour(category.index or 0), 130)
    return Image.alpha_composite(picture.convert("RGBA"), Image.fromarray(shown, "RGBA")).convert("RGB")


def box_of(dataset: Dataset, at: int) -> tuple[float, float, float, float] | None:
    """Gives left, top, right and bottom of an annotation in pixels: its box, else what its outlines or mask span."""
    box = dataset.boxes[at]
    if np.isfinite(box).all():
        return float(box[0]), float(box[1]), float(box[0] + box[2]), float(box[1] + box[3])
    points = np.concatenate([np.zeros((0, 2)), *rings(dataset, at)])
    points = points[np.isfinite(points).all(axis=1)]
    if len(points):
        return (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())  # type: ignore[return-value]
    if (rle := _mask(dataset, at)) is not None:
        where = np.argwhere(decode(rle))
        if len(where):
            (top, left), (bottom, right) = where.min(axis=0).tolist(), where.max(axis=0).tolist()
            return left, top, right + 1, bottom + 1
    return None


def rings(dataset: Dataset, at: int) -> list[np.ndarray]:
    """Gives the polygons of an annotation."""
    lines = dataset.outlines
    if lines is None:
        return []
    first, last = int(lines.first_ring[at]), int(lines.first_ring[at + 1])
    return [lines.points[lines.first_point[n] : lines.first_point[n + 1]] for n in range(first, last)]


def _mask(dataset: Dataset, at: int) -> Rle | None:
    """Gives an annotation's mask; none where it was made for another image, perhaps for one of any size."""
    rle = dataset.rles.get(at)
    width, height = dataset.image_sizes[dataset.annotation_image[at]].tolist()
    return rle if rle is not None and (rle.width, rle.height) == (width, height) else None


def near(*numbers: float) -> list[float]:
    """Gives pixels of a drawing, those far outside of any moved to where they are still outside."""
    return [min(max(number, -FAR), FAR) for number in numbers]


def _nearby(ring: np.ndarray, scale: float) -> list[tuple[float, ...]]:
    return [tuple(point) for point in np.clip(ring * scale, -FAR, FAR).tolist()]


def decode(rle: Rle) -> np.ndarray:
    """Gives a mask of run lengths as a table of True and False."""
    counts = np.clip(rle.counts, 0, rle.height * rle.width)
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)[: rle.height * rle.width]
    flat = np.pad(flat, (0, rle.height * rle.width - len(flat)))
    return flat.reshape(rle.width, rle.height).T


def _area(dataset: Dataset, at: int) -> float:
    box = dataset.boxes[at]
    return float(box[2] * box[3]) if np.isfinite(box).all() else float("inf")


def _shade(dataset: Dataset, at: int) -> Colour:
    return colour(int(dataset.annotation_class[at]))


def _fill(layer: Image.Image, dataset: Dataset, at: int, scale: float) -> None:
    shade = _shade(dataset, at)
    draw = ImageDraw.Draw(layer)
    if (rle := _mask(dataset, at)) is not None:
        mask = Image.fromarray(decode(rle).astype(np.uint8) * 255).resize(
            (max(1, round(rle.width * scale)), max(1, round(rle.height * scale))), Image.Resampling.NEAREST
        )
        layer.paste((*shade, 110), (0, 0), mask)
    for ring in rings(dataset, at):
        points = _nearby(ring, scale)
        if len(points) >= 3 and np.isfinite(ring).all():
            draw.polygon(points, fill=(*shade, 95))


def _lines(draw: ImageDraw.ImageDraw, dataset: Dataset, at: int, scale: float) -> None:
    shade = _shade(dataset, at)
    shaped = _mask(dataset, at) is not None
    for ring in rings(dataset, at):
        points = _nearby(ring, scale)
        if len(points) >= 2 and np.isfinite(ring).all():
            draw.line([*points, points[0]], fill=shade, width=3, joint="curve")
            shaped = True
    if np.isfinite(dataset.boxes[at]).all() and (dataset.boxes[at, 2:] >= 0).all():
        x, y, w, h = (dataset.boxes[at] * scale).tolist()
        if shaped:
            return
        draw.rectangle(near(x, y, x + w, y + h), outline=shade, width=4)
    if dataset.keypoints is not None:
        _points(draw, dataset, at, scale, shade)


def _points(draw: ImageDraw.ImageDraw, dataset: Dataset, at: int, scale: float, shade: Colour) -> None:
    assert dataset.keypoints is not None
    points = dataset.keypoints[at]
    index = int(dataset.annotation_class[at])
    bones = dataset.classes[index].skeleton if index >= 0 else ()
    labeled = np.isfinite(points).all(axis=1) & (points[:, 2] > 0)
    for first, second in bones:
        if 1 <= first <= len(points) and 1 <= second <= len(points) and labeled[first - 1] and labeled[second - 1]:
            ends = _nearby(points[[first - 1, second - 1], :2], scale)
            draw.line(ends, fill=(16, 18, 22), width=7)
            draw.line(ends, fill=shade, width=4)
    for number in np.flatnonzero(labeled).tolist():
        x, y = near(*(points[number, :2] * scale).tolist())
        spot = colour(number)
        draw.ellipse((x - 8, y - 8, x + 8, y + 8), fill=(16, 18, 22))
        hidden = points[number, 2] == 1
        draw.ellipse((x - 6, y - 6, x + 6, y + 6), fill=(255, 255, 255) if hidden else spot, outline=spot, width=3)


def _tag(
    draw: ImageDraw.ImageDraw,
    dataset: Dataset,
    at: int,
    scale: float,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
    *,
    brief: bool,
) -> None:
    box = box_of(dataset, at)
    index = int(dataset.annotation_class[at])
    if index < 0:
        return
    # What has no place in the image stands for all of it.
    inner = (TAG / scale, 2 * TAG / scale, (size[0] - TAG) / scale, (size[1] - TAG) / scale)
    left, top, right, bottom = (number * scale for number in box or inner)
    name = dataset.classes[index].name
    text = str(index) if brief else f"{index} {name}"
    if not brief and width(text, TAG) + 8 > max(right - left, 74):
        text = fitted(text, TAG, max(int(right - left), 74) - 8)
    wide, high = width(text, TAG) + 8, TAG + 5
    x = min(max(0, left - 1), size[0] - wide)
    for y in (top - high, top, bottom - high, bottom):
        place = (x, y, x + wide, y + high)
        inside = y >= 0 and y + high <= size[1]
        if inside and not any(
            place[0] < o[2] and o[0] < place[2] and place[1] < o[3] and o[1] < place[3] for o in taken
        ):
            break
    else:
        if brief:
            return
        y = min(max(0, top - high), size[1] - high)
    taken.append((x, y, x + wide, y + high))
    shade = colour(index)
    draw.rounded_rectangle((x, y, x + wide, y + high), radius=3, fill=shade)
    write(draw, (x + 4, y + high / 2), text, TAG, ink(shade))
