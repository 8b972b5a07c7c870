"""Reads ImageFolder datasets: one folder for each class, with or without folders for the parts of a split above."""

import posixpath
from collections import Counter
from pathlib import Path

import numpy as np

from steps.convert.check.files import read_images
from steps.convert.dataset import NO_PART, TEST, Dataset
from steps.convert.problems import Problem
from steps.convert.read.class_names import composed, look_alikes, sorted_categories
from steps.convert.read.layout import Layout
from steps.convert.read.listing import Listing, is_image, list_files
from steps.convert.read.parts import image_parts, part_of
from steps.convert.read.result import Progress, Reading
from steps.convert.read.yolo import image_sizes
from steps.convert.read.yolo_names import refusal
from steps.convert.version import document_content

NAMED = 100  # files of one kind that are told one by one
NO_CLASS = ""


def read_imagefolder(
    root: Path, layout: Layout, *, task: str | None, everything: bool, contained: bool, progress: Progress | None
) -> Reading:
    """Reads {class}/… or {train,val,valid,test}/{class}/…; classes are sorted by name and numbered from 0.

    Folders below a class folder are of that class. Images of a test part without class folders are not labeled.
    """
    if task not in (None, "image_classification"):
        message = f"folders of classes say one class for each image: they serve image_classification, not {task}"
        raise refusal("task_unfit", message, "choose image_classification, or export boxes")
    listing = list_files(root, contained=contained)
    parts = part_folders(listing)
    problems = list(listing.problems)
    names: list[str] = []
    found: list[tuple[int, str]] = []
    classes = _class_folders(listing, parts)
    strange: Counter[str] = Counter()
    for name in listing.names:
        part, kind = _place(name, parts)
        if not is_image(name):
            if kind:
                strange["file_ignored"] += 1
                _tell(problems, strange["file_ignored"], "file_ignored", name, "it is no image by its name",
                      "nothing need be done; move it elsewhere", level="warning")  # fmt: skip
        elif parts and part is None:
            strange["image_unlisted"] += 1
            _tell(problems, strange["image_unlisted"], "image_unlisted", name, "it lies in no folder of a part",
                  f"put it below one of: {', '.join(parts)}", level="warning")  # fmt: skip
        elif not kind and part != TEST:
            strange["image_without_class"] += 1
            _tell(problems, strange["image_without_class"], "image_without_class", name, "it lies in no class folder",
                  "put it into the folder of its class", level="error" if parts else "warning")  # fmt: skip
        else:
            names.append(name)
            found.append((NO_PART if part is None else part, kind))
    _tell_rest(problems, strange)
    categories = sorted_categories(classes.values())
    index = {category.name: category.index for category in categories}
    files = read_images(root, names, image_root="./", contained=contained, progress=progress)
    labeled = np.array([kind != NO_CLASS for _, kind in found], dtype=bool)
    count = int(labeled.sum())
    if count < len(found):
        message = f"{len(found) - count} images of test lie in no class folder: they are not labeled and left out"
        cure = "nothing need be done; put them into class folders to test on them"
        problems.append(Problem(level="warning", code="image_unlabeled", file="test", message=message, cure=cure))
    chosen = [index[classes[kind]] for _, kind in found if kind]
    problems += look_alikes(categories, file=".")
    for category in categories:
        if not category.name.strip():
            message, cure = f"a class folder is named {category.name!r}, with nothing but blanks", "rename the folder"
            problems.append(Problem(code="category_name", file=".", message=message, cure=cure))
    dataset = Dataset(
        layout=layout.id,
        document=".",
        task="image_classification",
        categories=categories,
        image_ids=np.arange(1, len(names) + 1, dtype=np.int64),
        image_names=names,
        image_sizes=image_sizes(files),
        image_labeled=labeled,
        annotation_ids=np.arange(1, count + 1, dtype=np.int64),
        annotation_image=np.flatnonzero(labeled).astype(np.int64),
        annotation_class=np.array([-1 if at is None else at for at in chosen], dtype=np.int64),
        annotation_crowd=np.zeros(count, dtype=bool),
        boxes=np.full((count, 4), np.nan),
        image_parts=image_parts([part for part, _ in found]),
        image_documents=names,
    )
    notes = ["ImageFolder: classes are the folders' names, sorted"]
    # An empty folder is a class too: it moves the index of those behind it, and no image tells of it.
    contents = {".": document_content({"classes": [category.name for category in categories]})}
    return Reading(dataset=dataset, problems=problems, contents=contents, files=files, notes=notes)


def part_folders(listing: Listing) -> dict[str, int]:
    """Gives the top folders that are parts: named like one, with folders in them and no image of their own.

    A folder `train` that holds images itself, between others, is a class: of railways.
    """
    direct = {posixpath.dirname(name) for name in listing.names if name.count("/") == 1 and is_image(name)}
    above = {name.partition("/")[0] for name in listing.folders if "/" in name}
    named = {name: part_of(name) for name in sorted(listing.folders) if "/" not in name and part_of(name) != NO_PART}
    parts = {name: part for name, part in named.items() if name in above}
    if not any(name not in direct for name in parts):
        return {}
    # Beside one that is a part for sure, test may hold images without classes, and train may by mistake.
    return named


def _class_folders(listing: Listing, parts: dict[str, int]) -> dict[str, str]:
    """Gives the class of each class folder, as in one Unicode form; folders without images count too."""
    depth = 1 if parts else 0
    found: dict[str, str] = {}
    for folder in listing.folders:
        steps = folder.split("/")
        if len(steps) == depth + 1 and (not parts or steps[0] in parts):
            found[steps[-1]] = composed(steps[-1])
    return found


def _place(name: str, parts: dict[str, int]) -> tuple[int | None, str]:
    """Gives part and class folder of a file; no part where it lies in none, no class likewise."""
    if not parts:
        return None, name.partition("/")[0] if "/" in name else NO_CLASS
    top, _, rest = name.partition("/")
    return parts.get(top), rest.partition("/")[0] if "/" in rest and top in parts else NO_CLASS


def _tell(problems: list[Problem], number: int, code: str, name: str, message: str, cure: str, *, level: str) -> None:
    if number <= NAMED:
        problems.append(Problem(level="error" if level == "error" else "warning", code=code, file=name,
                                message=message, cure=cure))  # fmt: skip


def _tell_rest(problems: list[Problem], strange: Counter[str]) -> None:
    for code, number in strange.items():
        if number > NAMED:
            first = next(problem for problem in problems if problem.code == code)
            message = f"and {number - NAMED} more files like these"
            problems.append(Problem(level=first.level, code=code, message=message, cure=first.cure))
