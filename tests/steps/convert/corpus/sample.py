"""One small set of labeled pictures, described without any layout, and how its image files are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

TASKS = ("object_detection", "instance_segmentation", "pose_estimation", "image_classification")
POINTS = ("nose", "left_eye", "right_eye")
SIZES = ((64, 32), (128, 64), (32, 64))  # powers of two, so that the fractions of YOLO are exact


@dataclass(frozen=True, slots=True)
class Label:
    """One object: the position of its class, box, outline and keypoints in pixels."""

    kind: int
    box: tuple[int, int, int, int]

    @property
    def outline(self) -> list[int]:
        """Gives a pentagon that touches all four sides of the box."""
        x, y, w, h = self.box
        return [x, y, x + w, y, x + w, y + h // 2, x + w // 2, y + h, x, y + h]

    @property
    def points(self) -> list[tuple[int, int, int]]:
        """Gives one visible, one hidden and one unlabeled keypoint."""
        x, y, w, h = self.box
        return [(x + w // 2, y + h // 4, 2), (x + 1, y + h // 2, 1), (0, 0, 0)]


@dataclass(frozen=True, slots=True)
class Picture:
    """One image file with the part of the split it lies in; no labels make it a negative."""

    name: str
    size: tuple[int, int]
    part: str
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Classes in order of name, their ids where a layout has ids of its own, and the pictures in order of name."""

    classes: tuple[str, ...]
    ids: tuple[int, ...]
    pictures: tuple[Picture, ...]

    def of(self, part: str) -> list[Picture]:
        """Gives the pictures of one part."""
        return [picture for picture in self.pictures if picture.part == part]

    @property
    def parts(self) -> list[str]:
        """Lists the parts that hold pictures."""
        return [part for part in ("train", "val", "test") if self.of(part)]


def sample(
    count: int = 8, *, classes: Sequence[str] = ("bolt", "nut"), ids: Sequence[int] = (), one_each: bool = False
) -> Sample:
    """Gives `count` pictures of which the last quarter is val; the third one is a negative unless `one_each`."""
    chosen = tuple(ids) or tuple(range(len(classes)))
    held_out = max(1, count // 4)
    pictures = []
    for number in range(count):
        width, height = size = SIZES[number % len(SIZES)]
        many = 1 if one_each else (0 if number == 2 else 1 + number % 3)
        labels = tuple(
            Label((number + k) % len(classes), (2 + 3 * k + number % 5, 4 + 2 * k, width // 3, height // 4 + k))
            for k in range(many)
        )
        part = "val" if number >= count - held_out else "train"
        # Names sort alike with and without the folder of their part: ids by name are the same everywhere.
        pictures.append(Picture(f"{part[0]}{number:03d}.png", size, part, labels))
    return Sample(tuple(classes), chosen, tuple(pictures))


def renamed(of: Sample, names: Sequence[str]) -> Sample:
    """Gives the sample with other file names."""
    pictures = tuple(replace(picture, name=name) for picture, name in zip(of.pictures, names, strict=True))
    return replace(of, pictures=pictures)


def paint(path: Path, picture: Picture) -> None:
    """Writes the image file: noise that its name and size decide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(picture.name.encode("utf-8", "surrogateescape")))
    pixels = rng.integers(0, 255, (picture.size[1], picture.size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
