"""Finds and reads a dataset's annotation documents, and says line and column when one is broken."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from steps.convert.problems import DatasetRefused, Problem
from steps.convert.tasks import DOCUMENT_WORDS

FALLBACKS = ("annotations.json", "annotation.json")


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed annotation document, named by its path below the dataset's root."""

    name: str
    value: Any


def document_names(root: Path) -> list[str]:
    """Lists the annotation documents of a dataset, sorted by name."""
    found = {p.name for pattern in ("annotation*.json", "instances_*.json") for p in root.glob(pattern)}
    found |= {f"annotations/{p.name}" for p in (root / "annotations").glob("*.json")}
    return sorted(name for name in found if (root / name).is_file())


def choose_document(names: list[str], *, task: str) -> str | None:
    """Picks the document that holds a task: its own file, else the general one, else the only COCO one."""
    word = DOCUMENT_WORDS.get(task, task)
    for wanted in (f"annotations_{word}.json", *FALLBACKS):
        if wanted in names:
            return wanted
    coco = [name for name in names if name.rpartition("/")[2].startswith("instances_")]
    return coco[0] if len(coco) == 1 and word in {"detection", "segmentation"} else None


def load_document(root: Path, name: str) -> Document:
    """Reads one document; raises DatasetRefused with line and column when it is no JSON."""
    return Document(name, parse(_read(root / name, name), name=name))


def parse(raw: bytes, *, name: str) -> Any:
    """Parses a document's bytes; NaN and Infinity are let through, so that their place can be told later."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass  # the standard parser says where it is broken
    try:
        return json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DatasetRefused([_broken(name, f"it is not UTF-8 text (line {line})", "save it as UTF-8")]) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise DatasetRefused([_broken(name, f"broken JSON at {place}: {error.msg}", f"mend {place}")]) from None
    except (RecursionError, ValueError) as error:
        raise DatasetRefused([_broken(name, f"unreadable JSON: {error}", "export the document again")]) from None


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"it cannot be read: {error.strerror}"
        raise DatasetRefused([_broken(name, message, "make the file readable")]) from None


def _broken(name: str, message: str, cure: str) -> Problem:
    return Problem(code="document_broken", file=name, message=message, cure=cure)
