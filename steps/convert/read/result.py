"""What every reader gives: the dataset, what is wrong with it, and the content that its version is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from steps.convert.check.files import ImageFile
from steps.convert.dataset import Dataset
from steps.convert.problems import Problem
from steps.convert.version import Content

Progress = Callable[[str, int, int], None]  # a word for the phase, how much is done, of how much


@dataclass(slots=True, kw_only=True)
class Reading:
    """A dataset as it was read; `contents` holds each annotation file by its name below the dataset."""

    dataset: Dataset
    problems: list[Problem]
    contents: Mapping[str, Content]
    files: list[ImageFile] | None = None  # by image row, from readers that had to open the images
    other_images: list[str] = field(default_factory=list)  # listed only by documents of other tasks: content too
    notes: list[str] = field(default_factory=list)  # how was taken what could be meant otherwise, for the record
