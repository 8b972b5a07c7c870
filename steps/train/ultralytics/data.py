"""The converted dataset as the framework will see it, looked through before it can drop anything in silence."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from steps.train.ultralytics.failure import Failure

IMAGES = frozenset({".bmp", ".dng", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp", ".heic", ".avif"})
SHOWN = 20  # problems in a message; the rest are counted


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A YOLO detection dataset that was found whole: where it lies, its classes, its images and boxes per split."""

    yaml_path: Path
    root: Path
    classes: tuple[dict[str, Any], ...]
    images: dict[str, tuple[Path, ...]]
    boxes: dict[str, int]


def load(work_dir: Path, *, data_file: Path) -> Dataset:
    """Check `$WORK_DIR/converted`, write `data_file` with the paths as they are here, and return the dataset.

    Raises Failure (DATASET_ERROR) that names every missing split, unknown class and malformed label at once.
    """
    source = work_dir / "converted" / "data.yaml"
    if not source.is_file():
        raise Failure("DATASET_ERROR", f"{source} is missing; run the convert step with the target yolo first")
    try:
        described = yaml.safe_load(source.read_text(encoding="utf-8"))
        names = _names(described["names"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise Failure("DATASET_ERROR", f"{source} is no YOLO data file: {error}; convert the dataset again") from error
    classes = _classes(work_dir / "snapshot.json", names)
    # The workspace may have moved since the conversion: the folder beside data.yaml is what counts.
    root = source.parent
    folders = {split: root / str(described.get(split) or f"images/{split}") for split in ("train", "val")}
    images = {split: tuple(_images(folder)) for split, folder in folders.items()}
    for split in ("train", "val"):
        if not images[split]:
            cure = "give the split a validation part, e.g. ratio [0.8, 0.2]" if split == "val" else "add images"
            raise Failure("DATASET_ERROR", f"the {split} split has no images ({folders[split]}); {cure}")
    boxes: dict[str, int] = {}
    problems: list[str] = []
    for split, paths in images.items():
        boxes[split] = 0
        for path in paths:
            found, wrong = _labels(_label_of(path), len(names))
            boxes[split] += found
            problems += wrong
    if problems:
        more = f" … and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise Failure("DATASET_ERROR", "; ".join(problems[:SHOWN]) + more)
    if not boxes["train"]:
        raise Failure("DATASET_ERROR", "the train split has no box at all; a detector learns nothing from it")
    data_file.parent.mkdir(parents=True, exist_ok=True)
    content = {"path": str(root), **{s: str(f) for s, f in folders.items()}, "names": dict(enumerate(names))}
    data_file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return Dataset(yaml_path=data_file, root=root, classes=classes, images=images, boxes=boxes)


def _names(value: object) -> list[str]:
    if isinstance(value, list):
        names = [str(name) for name in value]
    elif isinstance(value, dict):
        if sorted(value) != list(range(len(value))):
            raise ValueError("the keys of names are not 0, 1, 2 …")
        names = [str(value[index]) for index in range(len(value))]
    else:
        raise ValueError("names is neither a list nor a mapping")
    if not names:
        raise ValueError("names is empty")
    return names


def _classes(snapshot: Path, names: list[str]) -> tuple[dict[str, Any], ...]:
    """Return index, id and name per class: as the snapshot has them, else as data.yaml does."""
    if not snapshot.is_file():
        return tuple({"index": index, "id": index, "name": name} for index, name in enumerate(names))
    try:
        found = json.loads(snapshot.read_text(encoding="utf-8"))["classes"]
        classes = [{key: entry[key] for key in ("index", "id", "name")} for entry in found]
    except (ValueError, KeyError, TypeError) as error:
        raise Failure("DATASET_ERROR", f"{snapshot} is no snapshot: {error!r}; convert the dataset again") from error
    classes.sort(key=lambda entry: entry["index"])
    listed = [str(entry["name"]) for entry in classes]
    if listed != names:
        raise Failure(
            "DATASET_ERROR",
            f"{snapshot.name} names the classes {listed}, data.yaml {names}; convert the dataset again",
        )
    return tuple(classes)


def _images(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in IMAGES:
                yield Path(parent, name)


def _label_of(image: Path) -> Path:
    head, _, tail = str(image).rpartition(f"{os.sep}images{os.sep}")
    return Path(head, "labels", tail).with_suffix(".txt")


def _labels(path: Path, count: int) -> tuple[int, list[str]]:
    """Return how many boxes a label file holds and what is wrong with it; no file means no objects."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return 0, []
    except UnicodeDecodeError:
        return 0, [f"{path} is no text file"]
    found, wrong = 0, []
    for number, line in enumerate(lines, start=1):
        if not (fields := line.split()):
            continue
        found += 1
        try:
            index, box = int(fields[0]), [float(value) for value in fields[1:]]
        except ValueError:
            wrong.append(f"{path}:{number}: {line[:60]!r} is not 'class x y width height'")
            continue
        if not 0 <= index < count:
            wrong.append(f"{path}:{number}: class {index}, but the dataset has the classes 0 to {count - 1}")
        elif len(box) != 4:
            wrong.append(f"{path}:{number}: {len(box)} numbers after the class, a box has 4")
        elif not all(0.0 <= value <= 1.0 for value in box):
            wrong.append(f"{path}:{number}: box {box} is outside 0 to 1")
    return found, wrong
