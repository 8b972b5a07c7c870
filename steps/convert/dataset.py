"""The one in-memory dataset that every reader fills and every writer takes: columns, not objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BACKGROUND_NAMES = frozenset({"__background__", "_background_"})
NO_PART, TRAIN, VAL, TEST = -1, 0, 1, 2  # values of Dataset.image_parts


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the annotation document; `index` is its class index, None for the background."""

    id: int
    name: str
    index: int | None
    supercategory: str | None = None
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()  # pairs of keypoint numbers, from 1, as COCO has them


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """The polygons of all annotations, ragged: annotation a has the rings first_ring[a] up to first_ring[a + 1]."""

    points: Floats  # (p, 2): x, y in pixels
    first_point: Ints  # (rings + 1,): ring r has the points first_point[r] up to first_point[r + 1]
    first_ring: Ints  # (annotations + 1,)


@dataclass(frozen=True, slots=True)
class Rle:
    """A mask as COCO's run lengths: column by column, starting with background."""

    height: int
    width: int
    counts: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Images and annotations as parallel columns; annotations refer to images and categories by row."""

    layout: str
    document: str
    task: str
    categories: tuple[Category, ...]
    image_ids: Ints
    image_names: list[str]
    image_sizes: Ints  # (n, 2): width, height in pixels, as the document declares them, or as the file has them
    image_labeled: Bools
    annotation_ids: Ints
    annotation_image: Ints  # row in the image columns
    annotation_class: Ints  # class index; -1 is background
    annotation_crowd: Bools
    boxes: Floats  # (m, 4): x, y, width, height in pixels; NaN where an annotation has no box
    areas: Floats | None = None  # (m,): pixels, NaN where none is declared; None where no annotation declares one
    outlines: Outlines | None = None  # None where they were not asked for, or no annotation has any
    rles: Mapping[int, Rle] = field(default_factory=dict)  # by annotation row
    keypoints: Floats | None = None  # (m, k, 3): x, y, v; NaN beyond a category's own points and where there are none
    flip_idx: tuple[int, ...] = ()  # pose: which keypoint takes whose place in a mirrored image, where said
    image_parts: npt.NDArray[np.int8] | None = None  # the split that the layout itself carries; None where none does
    image_masks: list[str | None] | None = None  # D3: an indexed PNG for each image, relative to the dataset
    image_keys: list[str] | None = None  # the ids as written, where they are texts that are no numbers
    image_documents: list[str] | None = None  # the annotation file of each image, where each has its own
    image_root: str | None = None
    split_config: Mapping[str, Any] | None = None
    image_attributes: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def classes(self) -> list[Category]:
        """Gives the categories that are trained, in the order of their class index."""
        return sorted((c for c in self.categories if c.index is not None), key=lambda c: c.index or 0)

    @property
    def trained(self) -> Bools:
        """Marks the annotations that become labels: no background, no crowd, of a labeled image."""
        keep: Bools = (self.annotation_class >= 0) & ~self.annotation_crowd & self.image_labeled[self.annotation_image]
        return keep

    def class_presence(self) -> npt.NDArray[np.bool_]:
        """Gives a (images, classes) table: which class stands in which image."""
        table = np.zeros((len(self.image_ids), len(self.classes)), dtype=bool)
        keep = self.trained
        table[self.annotation_image[keep], self.annotation_class[keep]] = True
        return table


def index_categories(pairs: Sequence[tuple[int, str]]) -> tuple[Category, ...]:
    """Gives each category its class index: the position among the non-background ones sorted by id."""
    trained = sorted(id_ for id_, name in pairs if name not in BACKGROUND_NAMES)
    position = {id_: index for index, id_ in enumerate(trained)}
    return tuple(Category(id_, name, position.get(id_)) for id_, name in pairs)
