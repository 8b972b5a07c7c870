"""Detects which of the layouts called DICE (or which foreign one) a dataset is in, and says why."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.convert.dataset import BACKGROUND_NAMES
from steps.convert.read.listing import is_image

PARTS = frozenset({"train", "val", "valid", "validation", "test"})
CLASS_LISTS = frozenset({"obj.names", "classes.txt", "classes.names", "_darknet.labels", "notes.json"})


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
    entries = sorted(root.iterdir()) if root.is_dir() else []
    folders = {p.name: p for p in entries if p.is_dir() and not p.name.startswith((".", "__"))}
    files = [p for p in entries if p.name not in folders and p.is_file()]
    if "labels" in folders and any(p.name == "label_map.json" for p in files):
        return Layout("D0", "D0, the legacy format v0.9", "label_map.json and labels/")
    parts = {name: folder for name, folder in folders.items() if name.lower() in PARTS}
    described = [p.name for p in files if p.suffix in (".yaml", ".yml") and (p.stem == "data" or _names_classes(p))]
    if described:
        if {"train", "valid"} <= parts.keys() or any((folder / "images").is_dir() for folder in parts.values()):
            return Layout(
                "D5", "D5, Roboflow style", f"{described[0]} with {' and '.join(f'{part}/' for part in parts)}"
            )
        return Layout("YOLO", "plain YOLO", described[0])
    for name in ("Annotations", "annotations", "*/Annotations", "*/*/Annotations"):
        if found := next(root.glob(f"{name}/*.xml"), None):
            return Layout("VOC", "Pascal VOC", f"{found.parent.relative_to(root)}/*.xml")
    for folder in (root, *parts.values()):
        if any(p.suffix == ".xml" and _begins_with(p, b"<annotation") for p in folder.iterdir()):
            return Layout("VOC", "Pascal VOC", "*.xml beside the images")
    lists = [p.name for p in files if p.name in CLASS_LISTS or p.suffix == ".data"]
    if lists or "labels" in folders or any((folder / "labels").is_dir() for folder in parts.values()):
        return Layout("YOLO", "plain YOLO", lists[0] if lists else "labels/ without data.yaml")
    for name, folder in parts.items():
        if any(p.is_dir() for p in folder.iterdir()):
            return Layout("ImageFolder", "ImageFolder", f"{name}/ with one folder per class")
    if any(is_image(p.name) for name, folder in folders.items() if name != "images" for p in folder.iterdir()):
        return Layout("ImageFolder", "ImageFolder", "one folder per class")
    listed = ", ".join(p.name for p in entries[:8]) or "nothing"
    return Layout("unknown", "an unknown layout", f"no annotation document; found: {listed}")


def _names_classes(path: Path) -> bool:
    return any(line.startswith(b"names:") for line in _head(path).splitlines())


def _begins_with(path: Path, text: bytes) -> bool:
    return text in _head(path)[:512]


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""


def _flat(name: str, value: dict[str, Any]) -> Layout:
    categories = value.get("categories")
    named = isinstance(categories, list) and any(
        isinstance(c, dict) and isinstance(c.get("name"), str) and c["name"] in BACKGROUND_NAMES for c in categories
    )
    own_file = name.startswith("annotations_") and "/" not in name
    if named or own_file or "storage_info" in value or "split_config" in value:
        return Layout("D1", "D1, DICE 1.0 standard", "flat categories, images and annotations")
    return Layout("COCO", "plain COCO", "flat categories, images and annotations, no background")


def _kind(value: Any) -> str:
    return {list: "list", str: "string", type(None): "null"}.get(type(value), "number")
