"""Makes a file or a folder under a name of its own, and gives it its real name only when it is whole."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from steps.convert.commands.usage import Usage


def check_out(out: Path, root: Path) -> None:
    """Refuses a place to write to that would touch the dataset itself or what stands there already."""
    real, home = os.path.realpath(out), os.path.realpath(root)
    if real == home or real.startswith(home + os.sep):
        raise Usage(f"{out} lies inside the dataset {root}, which is never written to: name another place")
    if home.startswith(real + os.sep):
        raise Usage(f"{out} holds the dataset {root}: name another place")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise Usage(f"{out} exists already: name a new folder")
    if out.is_dir() and any(out.iterdir()):
        raise Usage(f"{out} exists already and is not empty: name a new folder")


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Gives a fresh folder beside `out` that takes its name at the end, or vanishes when something goes wrong."""
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f".{out.name[:100]}-{uuid.uuid4().hex[:8]}")
    fresh.mkdir()
    try:
        yield fresh
        os.rename(fresh, out)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextlib.contextmanager
def whole_file(out: Path, *roots: Path) -> Iterator[Path]:
    """Gives a name beside `out` for a file that takes its name at the end, or vanishes; never within `roots`."""
    out = out.absolute()
    for root in roots:
        if (os.path.realpath(out.parent) + os.sep).startswith(os.path.realpath(root) + os.sep):
            raise Usage(f"{out} lies inside the dataset {root}, which is never written to: name another place")
    if out.is_dir():
        raise Usage(f"{out} is a folder: name a file")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name[:100]}-{uuid.uuid4().hex[:8]}")
    try:
        yield part
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
