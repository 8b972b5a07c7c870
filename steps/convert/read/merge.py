"""Makes one dataset of several that are its parts: COCO's train, val and test documents."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steps.convert.dataset import NO_PART, TEST, TRAIN, VAL, Category, Dataset, Outlines, index_categories
from steps.convert.problems import Problem
from steps.convert.read.document import Attributes
from steps.convert.read.rle import RleColumn

PARTS = {"train": TRAIN, "val": VAL, "test": TEST}
TRIED = 20  # images of a document whose place is looked for


def placed(dataset: Dataset, root: Path, part: str | None) -> Dataset:
    """Gives the dataset with the folder of its part before the file names, where the images lie in one."""
    folder = part_folder(dataset.document, dataset.image_names, root, part)
    if not folder:
        return dataset
    return dataclasses.replace(dataset, image_names=[folder + name for name in dataset.image_names])


def part_folder(document: str, image_names: Sequence[str], root: Path, part: str | None) -> str:
    """Gives the folder that stands before a document's file names on the disk, empty where none does."""
    stem = Path(document).stem
    own = Path(document).parent.name
    words = [word for word in (stem.rpartition("_")[2], part, "valid" if part == "val" else None, own) if word]
    names = image_names[:TRIED]
    for base in ("images/", ""):
        if any((root / (base + name)).is_file() for name in names if not name.startswith("/")):
            return ""
    for word in dict.fromkeys(words):
        for base in ("images/", ""):
            if any((root / base / word / name).is_file() for name in names if not name.startswith("/")):
                return f"{word}/"
    return ""


def merge(datasets: Sequence[Dataset], parts: Sequence[str]) -> tuple[Dataset, list[Problem]]:
    """Puts datasets one after the other; ids that several use are numbered anew, with a warning."""
    document = ", ".join(dataset.document for dataset in datasets)
    categories, problems = _categories(datasets)
    image_ids = np.concatenate([dataset.image_ids for dataset in datasets])
    annotation_ids = np.concatenate([dataset.annotation_ids for dataset in datasets])
    keys = [key for dataset in datasets for key in dataset.image_keys or map(str, dataset.image_ids.tolist())]
    texts = any(dataset.image_keys for dataset in datasets)
    for word, ids in (("image", image_ids), ("annotation", annotation_ids)):
        if len(np.unique(ids)) < len(ids):
            ids[:] = np.arange(1, len(ids) + 1)
            if not (texts and word == "image"):
                problems.append(_renumbered(document, word))
    image_start = np.cumsum([0, *(len(dataset.image_ids) for dataset in datasets)])
    start = np.cumsum([0, *(len(dataset.annotation_ids) for dataset in datasets)])
    renamed = [_class_map(dataset, categories) for dataset in datasets]
    rles = {int(start[n]) + row: rle for n, dataset in enumerate(datasets) for row, rle in dataset.rles.items()}
    first = datasets[0]
    merged = dataclasses.replace(
        first,
        document=document,
        categories=categories,
        image_ids=image_ids,
        image_names=[name for dataset in datasets for name in dataset.image_names],
        image_sizes=np.concatenate([dataset.image_sizes for dataset in datasets]),
        image_labeled=np.concatenate([dataset.image_labeled for dataset in datasets]),
        annotation_ids=annotation_ids,
        annotation_image=np.concatenate([d.annotation_image + image_start[n] for n, d in enumerate(datasets)]),
        annotation_class=np.concatenate([renamed[n][d.annotation_class] for n, d in enumerate(datasets)]),
        annotation_crowd=np.concatenate([dataset.annotation_crowd for dataset in datasets]),
        boxes=np.concatenate([dataset.boxes for dataset in datasets]),
        areas=_stacked([(d.areas, (len(d.annotation_ids),)) for d in datasets]),
        outlines=_outlines(datasets),
        rles=RleColumn.of(rles),
        keypoints=_keypoints(datasets),
        image_parts=np.concatenate(
            [
                np.full(len(d.image_ids), PARTS.get(part, NO_PART), np.int8)
                for d, part in zip(datasets, parts, strict=True)
            ]
        ),
        image_keys=keys if texts else None,
        image_documents=[dataset.document for dataset in datasets for _ in dataset.image_names],
        image_attributes=Attributes([source for d in datasets for source in _sources(d)]),
    )
    return merged, problems


def _sources(dataset: Dataset) -> list[Any]:
    attributes = dataset.image_attributes
    return attributes.sources if isinstance(attributes, Attributes) else []


def _renumbered(document: str, word: str) -> Problem:
    message = f"the documents use the same {word} ids: all are numbered anew, in their order"
    cure = f"give every {word} an id of its own, if a split or a report is to name it"
    return Problem(level="warning", code=f"{word}_ids_renumbered", file=document, message=message, cure=cure)


def _categories(datasets: Sequence[Dataset]) -> tuple[tuple[Category, ...], list[Problem]]:
    problems = []
    found: dict[int, Category] = {}
    ids: dict[str, int] = {}
    for dataset in datasets:
        for category in dataset.categories:
            known = found.setdefault(category.id, category)
            id_ = ids.setdefault(category.name, category.id)
            cure = "give a class one id and one name in all documents"
            if known.name != category.name:
                message = f"category {category.id} is {category.name!r} here and {known.name!r} in another document"
            elif id_ != category.id:
                message = f"category {category.name!r} has the id {category.id} here and {id_} in another document"
            elif category.keypoints and known.keypoints and category.keypoints != known.keypoints:
                message = f"the keypoints of {category.name!r} have other names, or another order, in another document"
                cure = "give them one order in all documents: where they differ, left is taken for right"
            else:
                found[category.id] = known if known.keypoints else category
                continue
            problems.append(Problem(code="category_contradiction", file=dataset.document, message=message, cure=cure))
    indexed = index_categories([(category.id, category.name) for category in found.values()])
    return tuple(dataclasses.replace(found[category.id], index=category.index) for category in indexed), problems


def _class_map(dataset: Dataset, categories: Sequence[Category]) -> np.ndarray:
    """Gives the index in the whole for each index of a part; the last entry is the background's, at -1."""
    whole = {category.id: category.index for category in categories}
    indexes = [whole[category.id] for category in dataset.classes]
    return np.array([*(-1 if index is None else index for index in indexes), -1], dtype=np.int64)


def _stacked(columns: Sequence[tuple[np.ndarray | None, tuple[int, ...]]]) -> np.ndarray | None:
    if all(column is None for column, _ in columns):
        return None
    return np.concatenate([np.full(shape, np.nan) if column is None else column for column, shape in columns])


def _keypoints(datasets: Sequence[Dataset]) -> np.ndarray | None:
    widest = max((d.keypoints.shape[1] for d in datasets if d.keypoints is not None), default=0)
    padded = []
    for dataset in datasets:
        table = np.full((len(dataset.annotation_ids), widest, 3), np.nan)
        if dataset.keypoints is not None:
            table[:, : dataset.keypoints.shape[1]] = dataset.keypoints
        padded.append(table)
    return np.concatenate(padded) if widest else None


def _outlines(datasets: Sequence[Dataset]) -> Outlines | None:
    if all(dataset.outlines is None for dataset in datasets):
        return None
    points = np.concatenate([d.outlines.points for d in datasets if d.outlines is not None])
    sizes = [np.diff(d.outlines.first_point) for d in datasets if d.outlines is not None]
    counts = [
        np.zeros(len(d.annotation_ids), np.int64) if d.outlines is None else np.diff(d.outlines.first_ring)
        for d in datasets
    ]
    first_point, first_ring = (np.concatenate(([0], np.cumsum(np.concatenate(column)))) for column in (sizes, counts))
    return Outlines(points=points, first_point=first_point, first_ring=first_ring)
