"""Cuts out what a finding speaks of, so that a person sees it instead of reading numbers."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from steps.convert.check.grouping import Group
from steps.convert.check.inspection import Inspection
from steps.convert.check.telling import image_id
from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.show.draw import box_of, near
from steps.convert.show.picture import open_picture

SIDE = 132  # pixels of an exhibit
EACH, ALL = 8, 96  # exhibits of one kind, and of all
AROUND = 0.6  # of the object, on each side
FLAW, OTHERS = (255, 45, 75), (255, 255, 255)


def exhibits(found: Inspection, groups: Sequence[Group]) -> dict[tuple[str, str], list[Image.Image]]:
    """Gives pictures of the first places of each group, by level and code, where there is something to see."""
    dataset = found.dataset
    if dataset is None or not len(dataset.annotation_ids):
        return {}
    image_rows = {image_id(dataset, row): row for row in range(len(dataset.image_names))}
    made: dict[tuple[str, str], list[Image.Image]] = {}
    left = ALL
    for group in groups:
        pictures = []
        for problem in group.first[: min(EACH, left)]:
            picture = _exhibit(found, dataset, image_rows, problem)
            if picture is not None:
                pictures.append(picture)
        left -= len(pictures)
        if pictures:
            made[group.level, group.code] = pictures
    return made


def _exhibit(
    found: Inspection, dataset: Dataset, image_rows: dict[int | str, int], problem: Problem
) -> Image.Image | None:
    row = image_rows.get(problem.image_id) if problem.image_id is not None else None
    if row is None or found.files[row].problem:
        return None
    here = np.flatnonzero(dataset.annotation_image == row)
    if problem.annotation_id is None:
        return _whole(found, dataset, row, here.tolist())
    own = here[dataset.annotation_ids[here] == problem.annotation_id]
    box = box_of(dataset, int(own[0])) if len(own) else None
    if box is None:
        return None
    size = (int(dataset.image_sizes[row, 0]), int(dataset.image_sizes[row, 1]))
    side = max(box[2] - box[0], box[3] - box[1], 24.0) * (1 + 2 * AROUND)
    opened = open_picture(found.files[row], size, size if max(size) < 4000 else (2000, 2000))
    if opened is None:
        return None
    picture, scale = opened
    middle = ((box[0] + box[2]) / 2 * scale, (box[1] + box[3]) / 2 * scale)
    half = min(side * scale, max(picture.size)) / 2
    part = (middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half)
    cut = picture.transform(
        (SIDE, SIDE), Image.Transform.EXTENT, part, Image.Resampling.BICUBIC, fillcolor=(225, 229, 234)
    )
    draw = ImageDraw.Draw(cut)
    for at in [*(here[here != own[0]]).tolist(), int(own[0])]:
        other = box_of(dataset, at)
        if other is None:
            continue
        ratio = SIDE / (2 * half)
        corners = [(other[n] * scale - part[n % 2]) * ratio for n in range(4)]
        if max(corners) < -9e4 or min(corners) > 9e4 or corners[2] < corners[0] or corners[3] < corners[1]:
            continue
        mine = at == own[0]
        if mine and corners[2] - corners[0] < 4:
            draw.ellipse([corners[0] - 9, corners[1] - 9, corners[0] + 9, corners[1] + 9], outline=FLAW, width=2)
        draw.rectangle(near(*corners), outline=FLAW if mine else OTHERS, width=3 if mine else 1)
    return cut


def _whole(found: Inspection, dataset: Dataset, row: int, labels: list[int]) -> Image.Image | None:
    size = (int(dataset.image_sizes[row, 0]), int(dataset.image_sizes[row, 1]))
    opened = open_picture(found.files[row], size, (SIDE * 4 // 3, SIDE))
    if opened is None:
        return None
    picture, scale = opened
    draw = ImageDraw.Draw(picture)
    for at in labels:
        box = box_of(dataset, at)
        if box is not None and box[2] >= box[0] and box[3] >= box[1] and max(map(abs, box)) < 1e6:
            draw.rectangle(near(*(number * scale for number in box)), outline=FLAW, width=2)
    return picture
