"""Reads of an annotation document which files it names, and nothing else: the largest one stays affordable."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from steps.download.source import unsafe

SLOW = 64 << 20  # bytes of a document up to which one that is no plain JSON is read the slow, tolerant way


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The files that a document names, and the key prefix under which they lie; `all` where it could not be read."""

    files: tuple[str, ...] = ()
    root: str = ""
    all: bool = False


def named_files(raw: bytes) -> Named:
    """Gives the images and masks that a document names, each once; what is no safe name is left out."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        names, root = _typed(raw)
    except ValueError:
        if len(raw) > SLOW:
            return Named(all=True)
        names, root = _tolerant(raw)
    # `./a.png` and `b//c.png` are listed as a.png and b/c.png.
    names = [str(PurePosixPath(name)) if "./" in name or "//" in name else name for name in names]
    safe = tuple(name for name in dict.fromkeys(names) if not unsafe(name))
    return Named(files=safe, root=root if root and not unsafe(root) else "")


def _typed(raw: bytes) -> tuple[list[str], str]:
    import msgspec  # reads only what is asked for: a third of the time and a tenth of the memory of `json`

    note = msgspec.defstruct("Note", [("mask_file", str | None, None)])
    image = msgspec.defstruct(
        "Image",
        [("file_name", str | None, None), ("annotation", note | None, None), ("annotations", list[note] | None, None)],
    )
    place = msgspec.defstruct("Place", [("image_root", str | None, None)])
    document = msgspec.defstruct(
        "Document", [("images", list[image] | None, None), ("storage_info", place | None, None)]
    )
    found: Any = msgspec.json.decode(raw, type=document)
    names: list[str] = []
    for entry in found.images or ():
        notes = [*(entry.annotations or ()), *((entry.annotation,) if entry.annotation else ())]
        names += [name for name in (entry.file_name, *(n.mask_file for n in notes)) if name]
    return names, (found.storage_info.image_root or "") if found.storage_info else ""


def _tolerant(raw: bytes) -> tuple[list[str], str]:
    # A broken document is fetched all the same: the convert step says what is wrong with it, and where.
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return [], ""
    if not isinstance(value, Mapping):
        return [], ""
    storage = value.get("storage_info")
    root = storage.get("image_root") if isinstance(storage, Mapping) else None
    return list(_names(value)), root if isinstance(root, str) else ""


def _names(value: Mapping[str, Any]) -> Iterator[str]:
    images = value.get("images")
    for image in images if isinstance(images, list) else ():
        if not isinstance(image, Mapping):
            continue
        notes = image.get("annotations")
        holders = [image.get("annotation"), *(notes if isinstance(notes, list) else ())]
        masks = (holder.get("mask_file") for holder in holders if isinstance(holder, Mapping))
        yield from (name for name in (image.get("file_name"), *masks) if isinstance(name, str))
