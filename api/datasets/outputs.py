"""Packs and keeps what a task made, and moves datasets into the platform's own storage."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

from api.artifacts.storage import Storage
from api.artifacts.stored import told_as_problem
from api.datasets.commands import Made
from api.datasets.program import Hear
from api.datasets.progress import Tick
from workflows.keys import dataset_prefix, segment

MEDIA = {".html": "text/html", ".png": "image/png", ".json": "application/json", ".zip": "application/zip"}
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
"""The same files packed twice give the same bytes."""
_THREADS = 16
_NAME = 100
"""Characters of a dataset's id in the name of its repaired copy: with the task's it must stay a segment of a key."""


def keep(storage: Storage, made: Made, *, prefix: str, hear: Hear) -> dict[str, Any]:
    """Puts a file, or a folder as one .zip, into storage; returns how it is found again."""
    path, packed = made.path, None
    try:
        if path.is_dir():
            packed = path = pack(path, path.with_name(f"{uuid.uuid4().hex}.zip"), hear=hear)
        with path.open("rb") as opened:
            stored = storage.write_file(prefix + segment(made.name), cast(BinaryIO, _Heard(opened, hear)))
    finally:
        if packed is not None:
            packed.unlink(missing_ok=True)
    media = MEDIA.get(Path(made.name).suffix, "application/octet-stream")
    return {"name": made.name, "uri": stored.uri, "size": stored.size, "sha256": stored.sha256, "media_type": media}


def pack(folder: Path, file: Path, *, hear: Hear) -> Path:
    """Packs a folder's files, links followed, without compressing what is compressed already."""
    found = list(files_of(folder))
    size = 0
    with told_as_problem(file.name), zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for number, path in enumerate(found, 1):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), FIXED_DATE)
            entry.external_attr = 0o644 << 16
            entry.file_size = path.stat().st_size
            if entry.filename == "data.yaml":
                # Its path is that of a scratch folder; without one the file's own folder counts.
                lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
                archive.writestr(entry, "".join(line for line in lines if not line.startswith("path:")))
            else:
                with path.open("rb") as source, archive.open(entry, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
            size += entry.file_size
            hear(Tick(phase="pack", done=number, total=len(found), bytes=size))
    return file


def files_of(folder: Path) -> Iterator[Path]:
    """Yields a folder's files by name; links to files count, links to folders are not followed."""
    for name, folders, names in os.walk(folder):
        folders.sort()
        yield from (path for entry in sorted(names) if (path := Path(name, entry)).is_file())


def adopt_folder(storage: Storage, folder: Path, *, dataset_id: str, task_id: str, hear: Hear) -> str:
    """Copies a dataset's folder into the platform's storage, whole or not at all; returns its URI.

    Copied, never linked: what lies in the platform's storage must not change with somebody's own files.
    """
    # The task's own place: what a killed one left there is its own, too, and is begun anew.
    prefix = dataset_prefix(f"{dataset_id[:_NAME]}.{task_id}")
    storage.delete_prefix(prefix)
    uri = storage.target.uri(prefix)
    found = list(files_of(folder))
    target = storage.local_path(uri)
    if target is not None:
        part = target.with_name(f".{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            with told_as_problem(f"the dataset {dataset_id}"):
                for number, path, size in _each(found, hear):
                    place = part / path.relative_to(folder)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, place)
                    hear(Tick(phase="store", done=number, total=len(found), bytes=size))
                os.replace(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return uri
    try:
        keys, size = [prefix + path.relative_to(folder).as_posix() for path in found], 0
        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                for number, stored in enumerate(pool.map(storage.write_file, keys, found), 1):
                    size += stored.size
                    hear(Tick(phase="store", done=number, total=len(found), bytes=size))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except BaseException:
        with contextlib.suppress(Exception):  # what is told is why it failed, not that clearing up failed, too
            storage.delete_prefix(prefix)
        raise
    return uri


def adopt_file(storage: Storage, file: Path, *, key: str) -> str:
    """Moves an uploaded file into storage; on the same disk it is only renamed, so that it needs no second room."""
    uri = storage.target.uri(key)
    target = storage.local_path(uri)
    if target is not None:
        with told_as_problem(target.name):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.parent.stat().st_dev == file.stat().st_dev:
                with file.open("rb") as opened:
                    os.fsync(opened.fileno())
                os.chmod(file, 0o644)
                os.replace(file, target)
                return uri
    return storage.write_file(key, file).uri


class _Heard(io.RawIOBase):
    """A file that tells how far it is read while it is stored."""

    def __init__(self, file: BinaryIO, hear: Hear) -> None:
        self._file, self._hear = file, hear
        self._size, self._done = os.fstat(file.fileno()).st_size, 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._done += len(chunk)
        self._hear(Tick(phase="keep", done=self._done, total=self._size))
        return chunk


def _each(found: list[Path], hear: Hear) -> Iterator[tuple[int, Path, int]]:
    size = 0
    for number, path in enumerate(found, 1):
        size += path.stat().st_size
        yield number, path, size
