"""Reads documents of other tasks as far as the version needs it: their content, and the images that they name."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from steps.convert.problems import Problem
from steps.convert.read.broken import BrokenJson, refusal
from steps.convert.read.choice import part_of_document
from steps.convert.read.json_content import JsonContent
from steps.convert.read.layout import detect_document
from steps.convert.read.merge import part_folder
from steps.convert.read.records import records
from steps.convert.read.stream import Walk
from steps.convert.version import Content


class _Mask(msgspec.Struct, gc=False):
    mask_file: str | None = None


class _Image(msgspec.Struct, gc=False):
    file_name: str | None = None
    annotation: _Mask | None = None


class _Annotation(msgspec.Struct, gc=False):
    pass


IMAGES = msgspec.json.Decoder(list[_Image])
DECODERS: dict[str, Any] = {"images": IMAGES.decode, "annotations": msgspec.json.Decoder(list[_Annotation]).decode}


def read_besides(
    root: Path, names: Sequence[str], *, known: Sequence[str]
) -> tuple[dict[str, Content], list[str], list[Problem]]:
    """Gives the content of documents, the image names in them that are not `known`, and which of them are broken.

    They are content too, but only the job's own documents must be sound.
    """
    contents: dict[str, Content] = {}
    seen, problems = dict.fromkeys(known), []
    beside = frozenset(os.listdir(root))
    count = len(seen)
    for name in names:
        path = root / name
        walk = Walk(path, decoders=DECODERS)
        images: dict[str, None] = {}
        masks: dict[str, None] = {}
        try:
            for piece in walk:
                if piece.key == "images":
                    found = records(piece, IMAGES, _mend)
                    images.update(dict.fromkeys(image.file_name for image in found if image.file_name))
                    masks.update(dict.fromkeys(i.annotation.mask_file for i in found if _has_mask(i)))
            value = walk.frame.value()
            # Named as they would be if this were the task's own document: a version is the same for every task.
            of_coco = detect_document(name, value, beside=beside).id == "COCO"
            folder = part_folder(name, [*images], root, part_of_document(name)) if of_coco else ""
            seen.update(dict.fromkeys([folder + image for image in images] if folder else images))
            seen.update(masks)
            contents[name] = JsonContent(path, walk.frame)
        except (BrokenJson, OSError) as error:
            told = refusal(path, name, error).problems[0] if isinstance(error, BrokenJson) else None
            message = told.message if told else f"it cannot be read: {getattr(error, 'strerror', error)}"
            cure = told.cure if told else "make the file readable"
            code = told.code if told else "document_broken"
            problems.append(Problem(level="warning", code=code, file=name, message=message, cure=cure))
            contents[name] = _raw_content(path)
    return contents, list(seen)[count:], problems


def _has_mask(image: _Image) -> bool:
    return image.annotation is not None and bool(image.annotation.mask_file)


def _mend(value: Any) -> _Image:
    entry = value if isinstance(value, dict) else {}
    name, one = entry.get("file_name"), entry.get("annotation")
    mask = one.get("mask_file") if isinstance(one, dict) else None
    return _Image(name if isinstance(name, str) else None, _Mask(mask) if isinstance(mask, str) else None)


def _raw_content(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return b"sha256:" + hashlib.file_digest(file, "sha256").hexdigest().encode()
    except OSError:
        return b""
