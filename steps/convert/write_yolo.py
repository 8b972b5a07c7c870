"""Writes a dataset as YOLO detection: data.yaml, linked images and one label file for each image."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steps.convert.dataset import Dataset
from steps.convert.files import ImageFile
from steps.convert.flat_names import SUFFIXES, flat_names
from steps.convert.link import link_file
from steps.convert.problems import Problem
from steps.convert.split import Split
from steps.convert.split_request import PARTS


def check_yolo(dataset: Dataset, files: Sequence[ImageFile]) -> list[Problem]:
    """Tells what this target cannot hold, though the dataset is sound."""
    found = []
    if dataset.task != "object_detection":
        message = f"the target yolo is written for object_detection, not yet for {dataset.task}"
        found.append(Problem(code="target_unsupported", message=message, cure="train a detector"))
    ids = dataset.image_ids.tolist()
    for id_, name, file in zip(ids, dataset.image_names, files, strict=True):
        if file.format and file.format not in SUFFIXES:
            message = f"{name} is {file.format}, which the trainers of this target do not read"
            cure = f"convert it to one of: {', '.join(SUFFIXES)}"
            found.append(Problem(code="image_format", file=dataset.document, image_id=id_, message=message, cure=cure))
    stems: dict[str, int] = {}
    flat = flat_names(dataset.image_names, [file.format for file in files], ids)
    for id_, name in zip(ids, flat, strict=True):
        other = stems.setdefault(os.path.splitext(name)[0].casefold(), id_)
        if other != id_:
            message = f"flattened to {name!r} its name collides with that of image {other}"
            cure = "rename one of the two files"
            found.append(
                Problem(code="name_collision", file=dataset.document, image_id=id_, message=message, cure=cure)
            )
    return found


def write_yolo(
    dataset: Dataset, split: Split, files: Sequence[ImageFile], *, folder: Path, final: Path
) -> dict[str, Any]:
    """Writes into `folder`, naming `final` as the place it will be moved to; gives counts by part and link kind."""
    names = flat_names(dataset.image_names, [file.format for file in files], dataset.image_ids.tolist())
    lines, starts = _label_lines(dataset)
    row_of = {int(id_): row for row, id_ in enumerate(dataset.image_ids)}
    counts: dict[str, Any] = {"links": {}}
    for part in PARTS:
        ids = split.parts()[part]
        if not ids and part == "test":
            continue
        images, labels = folder / "images" / part, folder / "labels" / part
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        boxes = 0
        for row in (row_of[id_] for id_ in ids):
            file, name = files[row], names[row]
            # Some trainers "repair" a JPEG without its end by writing it anew: give them a copy to write to.
            how = link_file(str(file.path), str(images / name), copy=file.cut)
            counts["links"][how] = counts["links"].get(how, 0) + 1
            text = "".join(lines[starts[row] : starts[row + 1]])
            boxes += int(starts[row + 1] - starts[row])
            _write(labels / f"{os.path.splitext(name)[0]}.txt", text)
        counts[part] = {"images": len(ids), "labels": boxes}
    _write(folder / "data.yaml", _data_yaml(dataset, split, final))
    return counts


def _label_lines(dataset: Dataset) -> tuple[list[str], np.ndarray]:
    """Gives one line for each trained box, grouped by image row, and where each image's lines start."""
    keep = np.flatnonzero(dataset.trained)
    order = keep[np.argsort(dataset.annotation_image[keep], kind="stable")]
    rows = dataset.annotation_image[order]
    boxes, sizes = dataset.boxes[order], dataset.image_sizes[rows].astype(np.float64).reshape(-1, 2)
    centers = (boxes[:, :2] + boxes[:, 2:] / 2) / sizes
    extents = boxes[:, 2:] / sizes
    table = np.concatenate([centers, extents], axis=1).tolist()
    classes = dataset.annotation_class[order].tolist()
    lines = [f"{c} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for c, (x, y, w, h) in zip(classes, table, strict=True)]
    starts = np.searchsorted(rows, np.arange(len(dataset.image_ids) + 1))
    return lines, starts


def _data_yaml(dataset: Dataset, split: Split, final: Path) -> str:
    lines = [f"path: {_quoted(str(final))}", "train: images/train", "val: images/val"]
    if split.test:
        lines.append("test: images/test")
    lines += [f"nc: {len(dataset.classes)}", "names:"]
    lines += [f"  {category.index}: {_quoted(category.name)}" for category in dataset.classes]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # JSON strings are YAML strings, but for characters that YAML wants escaped.
    raw = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff\ud800-\udfff]", lambda m: f"\\u{ord(m.group()):04x}", raw)


def _write(path: Path, text: str) -> None:
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
