"""Makes datasets of files in folders, and reads them with the reader of their layout."""

from __future__ import annotations

import shutil
from pathlib import Path

from steps.convert.problems import DatasetRefused, Problem
from steps.convert.read.imagefolder import read_imagefolder
from steps.convert.read.layout import Layout
from steps.convert.read.result import Reading
from steps.convert.read.voc import read_voc
from steps.convert.read.yolo import read_yolo
from tests.steps.convert.making import picture

READERS = {"YOLO": read_yolo, "D5": read_yolo, "VOC": read_voc, "ImageFolder": read_imagefolder}


def make(root: Path, **files: str | bytes | tuple[int, int]) -> Path:
    """Writes files by name: a text, bytes, or a picture of a size."""
    return write(root, files)


def write(root: Path, files: dict[str, str | bytes | tuple[int, int]]) -> Path:
    """Writes files by name: a text, bytes, or a picture of a size; all pictures of a size are the same file."""
    pattern: dict[tuple[int, int, str], Path] = {}
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            key = (*content, path.suffix)
            if key in pattern:
                shutil.copyfile(pattern[key], path)
            else:
                pattern[key] = picture(path, size=content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
    return root


def read(
    root: Path, layout: str = "YOLO", *, task: str | None = None, everything: bool = False, contained: bool = True
) -> Reading:
    """Reads a folder as a layout."""
    reader = READERS[layout]
    return reader(
        root, Layout(layout, layout, "the test says so"), task=task, everything=everything, contained=contained,
        progress=None,
    )  # fmt: skip


def refused(root: Path, layout: str = "YOLO", **options: str) -> str:
    """Gives the words in which a dataset is refused."""
    try:
        read(root, layout, **options)
    except DatasetRefused as refusal:
        return "\n".join(problem.line() for problem in refusal.problems)
    raise AssertionError("the dataset was read")


def codes(problems: list[Problem]) -> list[str]:
    """Gives the codes of problems, sorted."""
    return sorted(problem.code for problem in problems)


def only(reading: Reading) -> Problem:
    """Gives the one problem of a reading."""
    assert len(reading.problems) == 1, [problem.line() for problem in reading.problems]
    return reading.problems[0]
