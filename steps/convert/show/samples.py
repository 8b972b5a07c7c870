"""Makes the pictures that are shown of a dataset: samples with their labels drawn, and cut-outs of each class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from steps.convert.check.files import Progress
from steps.convert.check.inspection import Inspection
from steps.convert.dataset import Dataset
from steps.convert.show.choose import choose
from steps.convert.show.colours import colour
from steps.convert.show.draw import box_of, draw_labels, draw_mask, near
from steps.convert.show.numbers import part_rows
from steps.convert.show.picture import open_picture
from steps.convert.split.request import PARTS

ROOM = (465, 350)  # pixels of a sample
CUT = 96  # pixels of a cut-out
OBJECTS, CUTS = 15, 320  # cut-outs of one class, and of all
MARGIN = 0.18  # of the object, around it


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its labels drawn, and what is said below it."""

    picture: Image.Image
    name: str
    part: str
    labels: dict[int, int]  # class index: how many


@dataclass(frozen=True, slots=True)
class Samples:
    """What is shown: samples, and for each class cut-outs of its objects."""

    samples: list[Sample]
    strips: list[list[Image.Image]]


def make_samples(found: Inspection, root: Path, *, progress: Progress | None = None) -> Samples:
    """Chooses, opens and draws; images that cannot be decoded are passed over."""
    dataset = found.dataset
    if dataset is None or not dataset.image_names:
        return Samples([], [])
    amount = max(1, min(OBJECTS, CUTS // max(1, len(dataset.classes))))
    choice = choose(dataset, found.files, objects=amount)
    part_of = part_rows(dataset, found.split)
    labels = _labels(dataset, choice.images)
    samples = []
    wanted = {at: index for index, rows in enumerate(choice.objects) for at in rows[:amount]}
    strips: list[list[Image.Image]] = [[] for _ in dataset.classes]
    total = len(choice.images) + len(wanted)
    for done, row in enumerate(choice.images, 1):
        size = (int(dataset.image_sizes[row, 0]), int(dataset.image_sizes[row, 1]))
        opened = open_picture(found.files[row], size, ROOM)
        if opened is not None:
            picture, scale = opened
            if dataset.image_masks is not None:
                picture = draw_mask(picture, dataset, row, root)
            own = labels[row]
            picture = draw_labels(picture, dataset, own, scale)
            part = PARTS[part_of[row]] if part_of[row] >= 0 else ""
            indexes, counts = np.unique(dataset.annotation_class[own], return_counts=True)
            amounts = dict(zip(indexes.tolist(), counts.tolist(), strict=True))
            samples.append(Sample(picture, dataset.image_names[row], part, amounts))
        if progress:
            progress("samples", done, total)
    for done, (at, index) in enumerate(wanted.items(), 1):
        if (cut := _cut(found, dataset, at)) is not None:
            strips[index].append(cut)
        if progress:
            progress("samples", len(choice.images) + done, total)
    return Samples(samples, strips)


def _labels(dataset: Dataset, images: list[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {row: [] for row in images}
    here = np.flatnonzero(np.isin(dataset.annotation_image, images) & (dataset.annotation_class >= 0))
    for at, row in zip(here.tolist(), dataset.annotation_image[here].tolist(), strict=True):
        found[row].append(at)
    return found


def _cut(found: Inspection, dataset: Dataset, at: int) -> Image.Image | None:
    """Cuts an object out of its image as a square, its box drawn in the colour of its class."""
    row = int(dataset.annotation_image[at])
    file, size = found.files[row], (int(dataset.image_sizes[row, 0]), int(dataset.image_sizes[row, 1]))
    box = box_of(dataset, at) or (0.0, 0.0, float(size[0]), float(size[1]))
    side = max(box[2] - box[0], box[3] - box[1], 8.0) * (1 + 2 * MARGIN)
    # Opened no larger than needed: a JPEG is decoded at a fraction of its size then.
    zoom = min(1.0, 2 * CUT / side)
    opened = open_picture(file, size, (max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom))))
    if opened is None:
        return None
    picture, scale = opened
    middle = ((box[0] + box[2]) / 2 * scale, (box[1] + box[3]) / 2 * scale)
    half = side * scale / 2
    whole = dataset.boxes[at] if np.isfinite(dataset.boxes[at]).all() else None
    if whole is None and box_of(dataset, at) is None:
        half = max(picture.size) / 2
    part = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    cut = picture.transform(
        (CUT, CUT), Image.Transform.EXTENT, part, Image.Resampling.BICUBIC, fillcolor=(225, 229, 234)
    )
    if box_of(dataset, at) is not None:
        ratio = CUT / (2 * half)
        corners = [(box[n] * scale - part[n % 2]) * ratio for n in range(4)]
        ImageDraw.Draw(cut).rectangle(near(*corners), outline=colour(int(dataset.annotation_class[at])), width=2)
    return cut
