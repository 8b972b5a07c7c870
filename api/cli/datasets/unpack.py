"""Brings a folder that the platform made to this machine: fetched as one .zip, unpacked, whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
import zipfile
from pathlib import Path
from typing import Any

from api.cli.client import Api
from api.cli.datasets.bar import Bar
from api.cli.datasets.follow import fetch_output
from api.cli.fault import Exit, Fault
from api.datasets.progress import Pace, Tick


def new_place(out: Path) -> Path:
    """Returns the absolute path of what is to be made; raises Fault where something is there."""
    place = out.expanduser().resolve()
    if place.exists() and not (place.is_dir() and not any(place.iterdir())):
        what = "file" if place.is_file() else "folder"
        raise Fault(f"{out} is there already", cure=f"name a new {what}", exit_code=Exit.USAGE)
    return writable(place)


def writable(place: Path) -> Path:
    """Returns a place; raises Fault where nothing can be written at it, before any work is done for it."""
    folder = next(above for above in place.parents if above.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise Fault(f"nothing can be written in {folder}", cure="name a place that can be", exit_code=Exit.USAGE)
    return place


def fetch_folder(api: Api, task: dict[str, Any], made: dict[str, Any], out: Path, *, json: bool) -> Path:
    """Fetches a .zip that a task made and unpacks it, or keeps it where `out` ends in `.zip`; returns where it lies."""
    if out.suffix.lower() == ".zip":
        return fetch_output(api, task, made, out.expanduser().resolve(), json=json)
    place = new_place(out)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    archive = part.with_name(f"{part.name}.zip")
    try:
        fetch_output(api, task, made, archive, json=json)
        _unpack(archive, part, json=json)
        part.rename(place)
    finally:
        archive.unlink(missing_ok=True)
        shutil.rmtree(part, ignore_errors=True)
    return place


def _unpack(archive: Path, folder: Path, *, json: bool) -> None:
    folder.mkdir()
    with zipfile.ZipFile(archive) as opened, Bar(silent=json) as bar:
        entries, pace, size = opened.infolist(), Pace(), 0
        for number, entry in enumerate(entries, 1):
            opened.extract(entry, folder)
            size += entry.file_size
            bar.take(pace.take(Tick(phase="unpack", done=number, total=len(entries), bytes=size)))
