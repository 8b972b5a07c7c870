"""What a broken dataset of the corpus is: how it is made, and what must be told about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.steps.convert.corpus.documents import WORDS
from tests.steps.convert.corpus.layouts import write
from tests.steps.convert.corpus.sample import Sample, sample

Break = Callable[[Path], object]
Change = Callable[[Any], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One dataset; `code` is the only error, or with `level` the warning, that it earns, None where it is sound."""

    name: str
    code: str | None
    breaks: Break
    says: tuple[str, ...] = ()  # words of the finding: the image, the annotation, the thing
    layout: str = "D1"
    task: str = "object_detection"
    level: str = "error"
    target: str = "none"
    along: frozenset[str] = frozenset()  # errors that follow from the same mistake and may be told beside it
    of: Sample | None = None

    def make(self, root: Path) -> Path:
        """Writes the dataset and breaks it."""
        chosen = self.of or sample(one_each=self.task == "image_classification")
        write(self.layout, root, chosen, self.task)
        self.breaks(root)
        return root


def document_of(root: Path) -> Path:
    """Finds the annotation document."""
    names = [f"annotations_{word}.json" for word in WORDS.values()]
    names += ["annotations.json", "annotations/instances_default.json", "annotations/person_keypoints_default.json"]
    return next(root / name for name in names if (root / name).exists())


def document(change: Change) -> Break:
    """Changes the parsed document in place."""

    def breaks(root: Path) -> None:
        path = document_of(root)
        value = json.loads(path.read_bytes())
        change(value)
        path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")

    return breaks


def at(key: str, row: int, /, **fields: Any) -> Break:
    """Sets fields of one item of a list of the document."""
    return document(lambda value: value[key][row].update(fields))


def without(key: str, row: int, field: str) -> Break:
    """Takes a field out of one item of a list of the document."""
    return document(lambda value: value[key][row].pop(field))


def nested(image: int, row: int, /, **fields: Any) -> Break:
    """Sets fields of an annotation inside an image."""
    return document(lambda value: value["images"][image]["annotations"][row].update(fields))


def text(name: str, *pairs: tuple[str, str]) -> Break:
    """Replaces words in a text file, each of which must stand there."""

    def breaks(root: Path) -> None:
        content = (root / name).read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in content, (name, old, content)
            content = content.replace(old, new, 1)
        (root / name).write_text(content, encoding="utf-8", errors="surrogatepass")

    return breaks


def raw(content: bytes, name: str | None = None) -> Break:
    """Puts other bytes in the place of the document, or of a named file."""
    return lambda root: (root / name if name else document_of(root)).write_bytes(content)


def both(*breaks: Break) -> Break:
    """Breaks in several ways."""
    return lambda root: [one(root) for one in breaks]
