"""The boxes of the converted dataset: four numbers each, and a class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.trainer_sdk import ErrorType, TrainerError

Box = tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class Dataset:
    """Class entries (index, id, name) and, for train and val, boxes as (class index, (x, y, width, height))."""

    classes: tuple[Mapping[str, Any], ...]
    boxes: Mapping[str, tuple[Box, ...]]


def load(work_dir: Path) -> Dataset:
    """Reads WORK_DIR/snapshot.json and the label files of WORK_DIR/converted; raises DATASET_ERROR."""
    snapshot = work_dir / "snapshot.json"
    if not snapshot.is_file():
        raise _wrong(f"{snapshot} does not exist: the convert step has not run in this workspace")
    classes = tuple(json.loads(snapshot.read_bytes())["classes"])
    boxes = {part: _boxes(work_dir / "converted" / "labels" / part, len(classes)) for part in ("train", "val")}
    for part, found in boxes.items():
        if not found:
            raise _wrong(f"no boxes in {work_dir}/converted/labels/{part}: give the {part} split annotated images")
    return Dataset(classes, boxes)


def _boxes(folder: Path, classes: int) -> tuple[Box, ...]:
    found: list[Box] = []
    for file in sorted(folder.rglob("*.txt")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                index, *values = line.split()
                box = (int(index), tuple(float(value) for value in values))
            except ValueError:
                raise _wrong(f"{file}:{number}: {line!r} is no `class x y width height`") from None
            if len(box[1]) != 4 or not 0 <= box[0] < classes:
                raise _wrong(f"{file}:{number}: {line!r} needs four numbers and a class below {classes}")
            found.append(box)
    return tuple(found)


def _wrong(message: str) -> TrainerError:
    return TrainerError(ErrorType.DATASET_ERROR, message)
