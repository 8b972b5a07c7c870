"""Decides what of a dataset is needed: its annotation documents, then the images that they name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from steps.download.source import Source, unsafe

DOCUMENT = re.compile(r"(annotations?(_[^/]*)?|instances_[^/]*|annotations/[^/]*)\.json")
SMALL = frozenset({"metadata.json", "meta.json", "data.yaml", "data.yml", "classes.txt", "label_map.json"})
NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One file to fetch: from which source, under which name there, and its place in the dataset folder."""

    source: Source
    name: str
    place: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All files to fetch; `missing` are images that documents name and storage has not."""

    documents: tuple[Item, ...]
    images: tuple[Item, ...]
    missing: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(item.size for item in (*self.documents, *self.images))


def make_plan(source: Source, *, prefix: str = "") -> Plan:
    """Plans the fetch; `prefix` is the dataset's own object key prefix, which an image_root may repeat.

    A dataset without any annotation document is fetched whole: what it is, a later step finds out.
    """
    sizes = source.sizes()
    names = [name for name in sizes if DOCUMENT.fullmatch(name)]
    if not names:
        return Plan(documents=(), images=tuple(_item(source, name, name, size) for name, size in sizes.items()))
    wanted = [*names, *(name for name in sizes if name in SMALL)]
    documents = tuple(_item(source, name, name, sizes[name]) for name in wanted)
    images: dict[str, Item] = {}
    missing: dict[str, None] = {}
    for name in names:
        value = _parsed(source.read(name))
        root = _image_root(value)
        other = _elsewhere(source, root, prefix)
        elsewhere = other.sizes() if other else {}
        folders = _folders(root, prefix)
        for file_name in _file_names(value):
            if other and file_name in elsewhere:
                place = f"images/{file_name}"
                images.setdefault(place, _item(other, file_name, place, elsewhere[file_name]))
                continue
            found = next((folder + file_name for folder in folders if folder + file_name in sizes), None)
            if found is None:
                missing[file_name] = None
            else:
                images.setdefault(found, _item(source, found, found, sizes[found]))
    return Plan(documents=documents, images=tuple(images.values()), missing=tuple(missing))


def _item(source: Source, name: str, place: str, size: int) -> Item:
    return Item(source=source, name=name, place=place, size=size)


def _parsed(raw: bytes) -> Mapping[str, Any]:
    # A broken document is fetched all the same: the convert step says what is wrong with it, and where.
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _image_root(value: Mapping[str, Any]) -> str:
    storage = value.get("storage_info")
    root = storage.get("image_root") if isinstance(storage, dict) else None
    return root if isinstance(root, str) and not unsafe(root) else ""


def _elsewhere(source: Source, root: str, prefix: str) -> Source | None:
    if not root or (prefix and root.startswith(prefix)):
        return None
    return source.elsewhere(root)


def _folders(root: str, prefix: str) -> list[str]:
    parts = PurePosixPath(root.removeprefix(prefix)).parts
    tails = ["/".join(parts[start:]) + "/" for start in range(len(parts))]
    return list(dict.fromkeys([*tails, "images/", ""]))


def _file_names(value: Mapping[str, Any]) -> list[str]:
    images = value.get("images")
    names = [image.get("file_name") for image in images if isinstance(image, dict)] if isinstance(images, list) else []
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and not unsafe(name)))
