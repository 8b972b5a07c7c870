"""What a person named: a registered dataset's id, or a folder, .zip or URI that is read right here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from api.cli.fault import Exit, Fault

Source = Annotated[str, typer.Argument(metavar="ID|PATH", help="A registered dataset's id, or a folder or .zip here.")]
Task = Annotated[str | None, typer.Option("--task", help="What it is for; default: what its own files say.")]


@dataclass(frozen=True)
class Registered:
    """A dataset that the platform knows by an id."""

    id: str

    @property
    def name(self) -> str:
        """What it is called."""
        return self.id


@dataclass(frozen=True)
class Here:
    """A dataset that is read by this very command."""

    uri: str
    name: str


def named(text: str) -> Registered | Here:
    """Tells an id from a path: a path has a slash, is `.` or `..`, begins with `~`, or is a .zip that is there."""
    if "://" in text:
        if text.startswith("file://"):
            return Here(text if text.endswith(("/", ".zip")) else f"{text}/", _name(text))
        if text.startswith("s3://"):
            return Here(text if text.endswith(("/", ".zip")) else f"{text}/", _name(text))
        raise Fault(
            f"{text!r} is neither file:// nor s3://", cure="give a path, or one of these URIs", exit_code=Exit.USAGE
        )
    if "/" in text or text in (".", "..") or text.startswith("~") or (text.endswith(".zip") and Path(text).is_file()):
        return here(Path(text).expanduser())
    return Registered(text)


def here(path: Path) -> Here:
    """Returns a folder or .zip of this machine; raises Fault where there is none."""
    real = path.resolve()
    if real.is_dir():
        return Here(f"file://{quote(str(real))}/", real.name or "dataset")
    if real.is_file() and real.suffix.lower() == ".zip":
        return Here(f"file://{quote(str(real))}", real.name.removesuffix(real.suffix))
    if real.exists():
        raise Fault(f"{path} is neither a folder nor a .zip", cure="give the dataset's folder", exit_code=Exit.USAGE)
    raise Fault(f"there is no folder or file {path}", cure="check the path", exit_code=Exit.NOT_FOUND)


def meant(fault: Fault, id: str) -> Fault:
    """Adds to an error that knows no such id the folder of that name, where there is one here."""
    # A comparison names two datasets, and the other one may be the one that is not there.
    of_it = fault.exit_code == Exit.UNREACHABLE or (fault.exit_code == Exit.NOT_FOUND and repr(id) in fault.message)
    if Path(id).is_dir() and of_it:
        fault.cure = f"there is a folder {id} here: write ./{id}"
    return fault


def _name(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2].removesuffix(".zip") or "dataset"
