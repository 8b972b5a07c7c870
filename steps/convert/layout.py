"""Detects which of the layouts called DICE (or which foreign one) a dataset is in, and says why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.convert.dataset import BACKGROUND_NAMES

SUPPORTED = frozenset({"D1", "COCO"})


@dataclass(frozen=True, slots=True)
class Layout:
    """A recognised layout: its id, its name for people, and what gave it away."""

    id: str
    title: str
    evidence: str


def detect_document(name: str, value: Any, *, beside: frozenset[str]) -> Layout:
    """Recognises the layout of a parsed document; `beside` holds the names in the dataset's top folder."""
    if not isinstance(value, dict):
        return Layout("unknown", "an unknown layout", f"{name} is a JSON {_kind(value)}, not an object")
    images = value.get("images")
    nested = isinstance(images, list) and any(
        isinstance(i, dict) and (isinstance(i.get("annotations"), list) or isinstance(i.get("annotation"), dict))
        for i in images
    )
    flat = "categories" in value and "annotations" in value
    if flat or ("categories" in value and not nested):
        return _flat(name, value)
    if "classes" in value and "images" in value:
        if "format_version" in value:
            if name.startswith("annotations_") or "metadata.json" in beside:
                return Layout("D4", "D4, a labeler export", "format_version with one document per task")
            return Layout("D3", "D3, the platform format v1.0", "format_version, classes and nested images")
        return Layout("D2", "D2, DICE 1.0 nested", "classes with annotations inside the images")
    if "categories" in value and nested:
        return Layout("D2", "D2, DICE 1.0 nested", "annotations stand inside the images, none at the top")
    keys = ", ".join(sorted(map(str, value))[:8]) or "none"
    return Layout("unknown", "an unknown layout", f"top-level keys of {name}: {keys}")


def detect_folder(root: Path) -> Layout:
    """Recognises the layout of a dataset that has no annotation document, by its folders."""
    names = {p.name for p in root.iterdir()} if root.is_dir() else set()
    if {"data.yaml", "data.yml"} & names:
        if {"train", "valid"} & names:
            return Layout("D5", "D5, Roboflow style", "data.yaml with train/ and valid/ folders")
        return Layout("YOLO", "plain YOLO", "data.yaml")
    if "label_map.json" in names and "labels" in names:
        return Layout("D0", "D0, the legacy format v0.9", "label_map.json and labels/")
    if "Annotations" in names and any((root / "Annotations").glob("*.xml")):
        return Layout("VOC", "Pascal VOC", "Annotations/*.xml")
    if "train" in names and any(p.is_dir() for p in (root / "train").iterdir()):
        return Layout("ImageFolder", "ImageFolder", "train/ with one folder per class")
    listed = ", ".join(sorted(names)[:8]) or "nothing"
    return Layout("unknown", "an unknown layout", f"no annotation document; found: {listed}")


def _flat(name: str, value: dict[str, Any]) -> Layout:
    categories = value.get("categories")
    named = isinstance(categories, list) and any(
        isinstance(c, dict) and c.get("name") in BACKGROUND_NAMES for c in categories
    )
    own_file = name.startswith("annotations_") and "/" not in name
    if named or own_file or "storage_info" in value or "split_config" in value:
        return Layout("D1", "D1, DICE 1.0 standard", "flat categories, images and annotations")
    return Layout("COCO", "plain COCO", "flat categories, images and annotations, no background")


def _kind(value: Any) -> str:
    return {list: "list", str: "string", type(None): "null"}.get(type(value), "number")
