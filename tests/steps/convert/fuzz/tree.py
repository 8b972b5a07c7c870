"""A dataset in memory: names to bytes, links or folders; mutated there and then written to a disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.steps.convert.corpus.layouts import write
from tests.steps.convert.corpus.sample import sample


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    """An empty folder where a file should be."""


Node = bytes | Link | Folder
Tree = dict[str, Node]


@cache
def _made(layout: str, task: str) -> tuple[tuple[str, bytes], ...]:
    with tempfile.TemporaryDirectory() as folder:
        root = write(layout, Path(folder) / "d", sample(4, one_each=task == "image_classification"), task)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return tuple((str(path.relative_to(root)), path.read_bytes()) for path in files)


def fresh(layout: str, task: str) -> Tree:
    """Gives a sound dataset of four pictures."""
    return dict(_made(layout, task))


def lay(tree: Tree, root: Path) -> None:
    """Writes the tree; what no file system can hold beside the rest is left out."""
    root.mkdir(parents=True)
    for name, node in tree.items():
        path = os.path.join(root, name)
        with contextlib.suppress(OSError, ValueError):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(node, Link):
                os.symlink(node.target, path)
            elif isinstance(node, Folder):
                os.mkdir(path)
            else:
                with open(path, "xb") as file:
                    file.write(node)


def place() -> Path:
    """Gives a folder to work in, in memory where the system has such a place."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="tiphys-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))


def remove(folder: Path) -> None:
    """Takes the folder away, also where its permissions were changed."""
    shutil.rmtree(folder, ignore_errors=True)
