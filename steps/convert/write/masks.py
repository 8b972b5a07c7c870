"""Writes semantic segmentation: images/{part} and masks/{part}/*.png, where a pixel's value is its class index.

Values 0 up to n - 1 are the class indexes themselves, so that a model's numbers are the dataset's. Where objects are
outlined, all else is background and has the value n, behind the classes; 255 is ignored: crowds, and what a mask file
of the dataset ignores. Where the dataset has mask files of its own, there is a background only if it names one.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from steps.convert.check.files import ImageFile, Progress, image_folders, read_images
from steps.convert.dataset import Dataset, Ints
from steps.convert.problems import DatasetRefused, Problem
from steps.convert.split.resolve import Split
from steps.convert.write.capacity import check_image_names, refused_task
from steps.convert.write.files import Folder
from steps.convert.write.flat_names import stem_of
from steps.convert.write.images import place_images, target_names
from steps.convert.write.link import Linker
from steps.convert.write.painting import Painted, painted
from steps.convert.write.png import IGNORE, Pixels, palette, read_png, write_png
from steps.convert.write.proof import Account, ProofFailed
from steps.convert.write.selection import Labels, labels_of, select
from steps.convert.write.spot_images import spot_images
from steps.convert.write.spot_masks import LOOKED_AT, spot_mask, spot_own_mask

TASKS = ("semantic_segmentation", "instance_segmentation")
BACKGROUND = "__background__"
TOLD = 256


def check_masks(dataset: Dataset, files: Sequence[ImageFile]) -> list[Problem]:
    """Tells what this target cannot hold, though the dataset is sound."""
    found = [] if dataset.task in TASKS else [refused_task(dataset, "masks", TASKS)]
    if len(dataset.classes) > IGNORE - 1:
        message = f"{len(dataset.classes)} classes do not fit into a mask of 8 bits"
        cure = f"leave at most {IGNORE - 1}"
        found.append(Problem(code="too_many_classes", file=dataset.document, message=message, cure=cure))
    return found + check_image_names(dataset, files)


def write_masks(
    dataset: Dataset,
    split: Split,
    files: Sequence[ImageFile],
    *,
    folder: Path,
    final: Path,
    labels_only: bool = False,
    copy: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes into `folder`; gives counts by part, links, proof, and the classes with the background behind them."""
    selection = select(dataset, split)
    account = Account(dataset, selection, covers=["pixels"], resolution="a pixel, by its centre")
    named = dataset.image_masks is None or any(category.index is None for category in dataset.categories)
    background = len(dataset.classes) if named else None
    colours, names, linker = (
        palette(len(dataset.classes), background=background),
        target_names(dataset, files),
        Linker(copy=copy),
    )
    account.leave("crowd", np.flatnonzero(dataset.annotation_crowd), "crowds are painted as 255: ignored in training")
    ground = IGNORE if background is None else background
    reader = _MaskFiles(dataset, files)
    written: dict[str, Any] = {}
    for part, rows in selection.rows.items():
        if not labels_only:
            place_images(folder / "images" / part, rows, names, files, linker, progress=progress)
            spot_images(dataset, files, rows, names, folder / "images" / part)
        whole = labels_of(dataset, rows, dataset.annotation_class >= 0)
        maps = _maps(dataset, reader, rows, whole, account, background=ground)
        with Folder(folder / "masks" / part) as place:
            for number, (row, values) in enumerate(zip(rows.tolist(), maps, strict=True), 1):
                content = write_png(values, colours)
                name = stem_of(names[row]) + ".png"
                place.write(name, content)
                read = read_png(content)
                account.same("pixels", values, read)
                _prove_labels(account, row, whole, number - 1, read)
                if number % max(1, -(-len(rows) // LOOKED_AT)) == 0:
                    own = whole.rows[whole.first[number - 1] : whole.first[number]]
                    source = reader.raw(row)
                    if source is None:
                        spot_mask(dataset, row, own, read, background=ground)
                    else:
                        spot_own_mask(dataset, row, source, read, background=len(dataset.classes))
                if number == 1:
                    _look(folder / "masks" / part / name, values)
                if progress and (number % TOLD == 0 or number == len(rows)):
                    progress(f"masks {part}", number, len(rows))
            if place.count() != len(rows):
                raise ProofFailed(f"{place.count()} masks stand in {part}, {len(rows)} were written")
        labels = labels_of(dataset, rows, account.wanted)
        account.count(part, images=len(rows), classes=dataset.annotation_class[labels.rows])
        written[part] = {"images": len(rows), "labels": len(labels.rows)}
    extra: list[dict[str, Any]] = [{} for _ in dataset.classes]
    if background is not None:
        extra.append({"index": background, "id": None, "name": BACKGROUND})
    return {"links": dict(linker.how), **written, "classes": extra, "proof": account.proof()}


def _maps(
    dataset: Dataset, reader: "_MaskFiles", rows: Ints, labels: Labels, account: Account, *, background: int
) -> Iterator[Pixels]:
    """Gives the label map of each image: its own mask file where it has one, else painted from the outlines."""
    for at, one in enumerate(painted(dataset, rows, labels, background=background)):
        own = labels.rows[labels.first[at] : labels.first[at + 1]]
        values = reader.read(int(rows[at]))
        if values is not None:
            yield values
            continue
        _account(account, own, one)
        yield one.values


def _prove_labels(account: Account, row: int, whole: Labels, at: int, read: Pixels) -> None:
    """Raises ProofFailed where a label that counts as written has left no pixel of its class."""
    dataset = account.dataset
    if dataset.image_masks is not None and dataset.image_masks[row]:
        return
    own = whole.rows[whole.first[at] : whole.first[at + 1]]
    there = np.zeros(256, dtype=bool)
    there[read.reshape(-1)] = True
    classes = dataset.annotation_class[own[account.wanted[own]]]
    if not there[classes].all():
        raise ProofFailed(f"the mask of image {dataset.image_ids[row]} shows no pixel of a class that it holds")


def _account(account: Account, rows: Ints, one: Painted) -> None:
    if not one.drawn.all():
        account.leave("no_pixel", rows[~one.drawn], "they cover the centre of no pixel, or have no outline")
    hidden = one.drawn & ~one.seen
    if hidden.any():
        account.leave("covered", rows[hidden], "smaller objects cover them wholly")


def _look(path: Path, values: Pixels) -> None:
    """Compares one mask with what another reader of PNG finds on the disk."""
    with Image.open(path) as image:
        if not np.array_equal(np.asarray(image), values):
            raise ProofFailed(f"{path.name} reads back differently")


class _MaskFiles:
    """The mask files that a dataset has of its own, their values turned into class indexes."""

    def __init__(self, dataset: Dataset, files: Sequence[ImageFile]) -> None:
        self.dataset = dataset
        self.table = np.full(256, IGNORE, dtype=np.uint8)
        for category in dataset.categories:
            if category.id < IGNORE:
                self.table[category.id] = len(dataset.classes) if category.index is None else category.index
        self.known = np.zeros(256, dtype=bool)
        self.known[[category.id for category in dataset.categories if category.id < IGNORE] + [IGNORE]] = True
        self.folders: list[str] = []
        self.root = ""
        self.otherwise: dict[str, str | None] | None = None
        first = next((file for file in files if file.path and file.key), None)
        if dataset.image_masks is not None and first is not None:
            self.root = str(first.path).removesuffix(str(first.key))
            self.folders = [self.root + folder for folder in image_folders(Path(self.root), dataset.image_root)]

    def _path(self, name: str) -> str | None:
        path = next((folder + name for folder in self.folders if os.path.isfile(folder + name)), None)
        if path is None and self.root:  # spelled otherwise on the disk, perhaps
            if self.otherwise is None:
                names = sorted({mask for mask in self.dataset.image_masks or () if mask})
                found = read_images(Path(self.root), names, image_root=self.dataset.image_root, contained=False)
                self.otherwise = {mask: file.path for mask, file in zip(names, found, strict=True)}
            path = self.otherwise.get(name)
        return path

    def raw(self, row: int) -> Pixels | None:
        """Gives an image's own mask as it is stored, None where it has none; read() has told what is wrong with it."""
        name = self.dataset.image_masks[row] if self.dataset.image_masks is not None else None
        path = self._path(name) if name else None
        if path is None:
            return None
        with Image.open(path) as image:
            return np.asarray(image).astype(np.uint8)

    def read(self, row: int) -> Pixels | None:
        name = self.dataset.image_masks[row] if self.dataset.image_masks is not None else None
        if not name:
            return None
        path = self._path(name)
        if path is None:
            raise self._refused(row, f"the mask {name} does not exist", "add the file, or mark the image as unlabeled")
        with Image.open(path) as image:
            values = np.asarray(image)
        width, height = self.dataset.image_sizes[row].tolist()
        fits = values.shape == (height, width) and values.dtype.kind in "uib"
        if not fits or values.min() < 0 or values.max() > IGNORE or not self.known[values.astype(np.uint8)].all():
            message = f"the mask {name} is no map of class ids of {width}×{height} px"
            raise self._refused(row, message, "check the dataset, and export the mask again")
        return self.table[values.astype(np.uint8)]

    def _refused(self, row: int, message: str, cure: str) -> DatasetRefused:
        id_ = int(self.dataset.image_ids[row])
        problem = Problem(code="mask_unusable", file=self.dataset.document, image_id=id_, message=message, cure=cure)
        return DatasetRefused([problem])
