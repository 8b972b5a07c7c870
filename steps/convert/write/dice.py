"""Writes DICE 1.0 (D1): one document with everything that a dataset holds, and its images under their own names."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from steps.convert.check.files import ImageFile, Progress, unsafe_name
from steps.convert.dataset import Dataset, index_categories
from steps.convert.problems import Problem
from steps.convert.split.resolve import Split
from steps.convert.split.rewrite import own_words, rewritten
from steps.convert.tasks import DOCUMENT_WORDS
from steps.convert.write.annotations import columns_of
from steps.convert.write.capacity import refused_task
from steps.convert.write.document import DocumentWriter, categories, write_annotations, write_images
from steps.convert.write.link import Linker, own_folder
from steps.convert.write.proof import Account
from steps.convert.write.selection import everything
from steps.convert.write.spot_images import spot_images
from steps.convert.write.spot_objects import spot_categories

BACKGROUND = "__background__"
# What the document says in its own words; the rest of an image's fields are carried along as they are.
OWN = frozenset({"id", "file_name", "width", "height", "annotations", "annotation", "split", "label_file"})
TOLD = 1024


def check_dice(dataset: Dataset, files: Sequence[ImageFile]) -> list[Problem]:
    """Tells what this target cannot hold, though the dataset is sound."""
    if dataset.image_masks is not None and any(dataset.image_masks):
        return [refused_task(dataset, "dice", ["semantic_segmentation by polygons or masks of objects"])]
    found = []
    owner: dict[str, int] = {}
    for id_, name in zip(dataset.image_ids.tolist(), dataset.image_names, strict=True):
        if reason := unsafe_name(name):
            cure = "use a relative name with forward slashes"
            message = f"file_name {name!r} is refused: {reason}"
            found.append(Problem(code="path_unsafe", file=dataset.document, image_id=id_, message=message, cure=cure))
        elif id_ != (first := owner.setdefault(str(PurePosixPath(name)), id_)):
            cure = "drop it from one of the documents or parts: a DICE document lists each file once"
            message = f"{name!r} is also the file of image {first}"
            problem = Problem(
                code="file_name_duplicate", file=dataset.document, image_id=id_, message=message, cure=cure
            )
            found.append(problem)
    return found


def write_dice(
    dataset: Dataset,
    split: Split | None,
    files: Sequence[ImageFile],
    *,
    folder: Path,
    final: Path,
    labels_only: bool = False,
    copy: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes all images and annotations, the split as `split_config`; without a split the dataset's own is kept."""
    account = Account(dataset, everything(dataset), covers=["boxes", "polygons", "masks", "keypoints"],
                      resolution="exact: numbers as 64-bit floats", whole=True)  # fmt: skip
    linker = Linker(copy=copy)
    if not labels_only:
        _place(dataset, files, folder / "images", linker, progress)
        spot_images(dataset, files, np.arange(len(files)), dataset.image_names, folder / "images")
    word = DOCUMENT_WORDS.get(dataset.task)
    known, category_ids = _numbered(dataset)
    rows = np.arange(len(dataset.image_ids))
    with DocumentWriter(folder / (f"annotations_{word}.json" if word else "annotations.json")) as document:
        document.value("info", {"version": "1.0.0"})
        document.value("storage_info", {"storage_type": "local", "image_root": "images/"})
        if config := _split_config(dataset, split):
            document.value("split_config", config)
        named = spot_categories(dataset, document.value("categories", categories(known)), by_index=False)
        listed = write_images(document, account, rows, dataset.image_names, lambda row: _more(dataset, row))
        classes = write_annotations(
            document,
            account,
            np.arange(len(dataset.annotation_ids)),
            names=named,
            category_ids=category_ids,
            gather=lambda some: columns_of(
                dataset, some, ids=dataset.annotation_ids, category_ids=category_ids, full=False
            ),
        )
    account.count("all", images=listed, classes=classes[classes >= 0])
    written = {"all": {"images": listed, "labels": len(classes)}}
    if split:
        ids = dataset.image_ids[dataset.annotation_image[dataset.annotation_class >= 0]]
        for part, chosen in split.parts().items():
            if chosen or part != "test":
                written[part] = {"images": len(chosen), "labels": int(np.isin(ids, np.array(chosen)).sum())}
    return {"links": dict(linker.how), **written, "proof": account.proof()}


def _place(
    dataset: Dataset, files: Sequence[ImageFile], folder: Path, linker: Linker, progress: Progress | None
) -> None:
    made: set[str] = set()
    start = own_folder(folder)
    for number, (name, file) in enumerate(zip(dataset.image_names, files, strict=True), 1):
        plain = str(PurePosixPath(name))
        parent = os.path.dirname(plain)
        if parent not in made:
            own_folder(folder / parent)
            made.add(parent)
        linker.link(str(file.path), start + plain, copy=file.cut)
        if progress and (number % TOLD == 0 or number == len(files)):
            progress("images", number, len(files))


def _numbered(dataset: Dataset) -> tuple[Dataset, np.ndarray]:
    """Gives the dataset with a background category where annotations need one, and the ids by class index."""
    known = dataset.categories
    background = [category.id for category in known if category.index is None]
    ids = [category.id for category in dataset.classes]
    if not background and (dataset.annotation_class < 0).any():
        free = next(number for number in range(len(known) + 1) if number not in ids)
        background = [free]
        known = (*index_categories([(free, BACKGROUND)]), *known)
    return replace(dataset, categories=known), np.array([*ids, *background[:1]], dtype=np.int64)


def _more(dataset: Dataset, row: int) -> Mapping[str, Any]:
    given = dataset.image_attributes[row] if len(dataset.image_attributes) else {}
    more = {key: value for key, value in given.items() if key not in OWN}
    if dataset.image_keys:
        more.setdefault("original_id", dataset.image_keys[row])
    if not dataset.image_labeled[row]:
        metadata = more.get("metadata")
        more["metadata"] = {**(metadata if isinstance(metadata, dict) else {}), "status": "unlabeled"}
    return more


def _split_config(dataset: Dataset, split: Split | None) -> Mapping[str, Any] | None:
    if split:
        splits = {str(id_): part for part, ids in split.parts().items() for id_ in ids}
        ratio = list(split.ratio) if split.ratio[2] else list(split.ratio[:2])
        return {"method": "manual", "default_ratio": ratio, "seed": split.seed, "splits": splits}
    if not dataset.split_config:
        return own_words(dataset)
    if not dataset.image_keys:
        return dataset.split_config
    ids = dict(zip(dataset.image_keys, dataset.image_ids.tolist(), strict=True))  # what the copy calls them
    return rewritten(dataset.split_config, lambda key: ids.get(key, key) if isinstance(key, str) else key)
