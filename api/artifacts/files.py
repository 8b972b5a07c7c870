"""Keeps objects as files below one folder: the embedded default, no server."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from api.artifacts.stored import CHUNK_BYTES, Listed, Stored, told_as_problem
from api.errors import BadRequest, NotFound
from workflows.keys import StorageTarget

PART_SUFFIX = ".part"
"""Ending of a file that is still being written; such a file is never listed."""


class FileStorage:
    """Storage in a folder; reads any file:// URI, writes below its root alone."""

    def __init__(self, target: StorageTarget) -> None:
        if target.root is None:
            raise ValueError("file storage needs a root folder")
        self.target = target
        self.root = Path(target.root)

    def contains(self, uri: str) -> bool:
        path = self.local_path(uri)
        # Resolved: neither `..` nor a symbolic link leads a reader out of the root.
        return path is not None and path.resolve().is_relative_to(self.root.resolve())

    def exists(self, uri: str) -> bool:
        path = self.local_path(uri)
        if path is None:
            return False
        try:
            return any(path.iterdir()) if uri.endswith("/") else path.is_file()
        except (FileNotFoundError, NotADirectoryError):
            return False

    def size(self, uri: str) -> int | None:
        path = self.local_path(uri)
        return path.stat().st_size if path is not None and path.is_file() else None

    def open_read(self, uri: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        path = self.local_path(uri)
        if path is None or not path.is_file():
            raise NotFound(f"there is no file {uri}", cure="it may have been deleted from the storage folder")
        return _read(path, start, end)

    def list(self, prefix: str) -> list[Listed]:
        folder, _, beginning = prefix.rpartition("/")
        base = self._path(folder) if folder else self.root
        found = []
        for path in base.rglob("*"):
            name = path.relative_to(base).as_posix()
            if name.startswith(beginning) and path.is_file() and not name.endswith(PART_SUFFIX):
                key = f"{folder}/{name}" if folder else name
                found.append(Listed(key.removeprefix(prefix), self.target.uri(key), path.stat().st_size))
        return sorted(found, key=lambda item: item.name)

    def write_file(self, key: str, source: Path | BinaryIO) -> Stored:
        path = self._path(key)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}")
        with told_as_problem(path.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                if isinstance(source, Path):
                    with source.open("rb") as opened:
                        size, sha256 = _copy(opened, part)
                else:
                    size, sha256 = _copy(source, part)
                # The rename is what makes it whole or not at all: a reader never meets half a file.
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return Stored(self.target.uri(key), size, sha256)

    def local_path(self, uri: str) -> Path | None:
        # By hand: a URL parser would cut a name at its first `?` or `#`.
        host, slash, path = uri.removeprefix("file://").partition("/")
        if not uri.startswith("file://") or host not in ("", "localhost") or not slash:
            return None
        return Path("/" + unquote(path))

    def presign(self, uri: str, *, filename: str | None = None, seconds: int = 3600) -> str | None:
        return None

    def delete(self, key: str) -> None:
        with told_as_problem(f"the deletion of {key}"):
            self._path(key).unlink(missing_ok=True)

    def delete_prefix(self, prefix: str) -> int:
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} is no prefix: it must end in a slash")
        folder = self._path(prefix)
        if not folder.is_dir():
            return 0
        count = sum(1 for path in folder.rglob("*") if path.is_file())
        with told_as_problem(f"the deletion of {prefix}"):
            shutil.rmtree(folder)
        return count

    def probe(self) -> None:
        path = self.root / f".probe.{secrets.token_hex(4)}{PART_SUFFIX}"
        with told_as_problem("a small file"):
            try:
                path.write_bytes(b"tiphys")
            finally:
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        path = self.root / key
        if ".." in key.split("/") or key.startswith("/") or "\0" in key:
            raise BadRequest(f"{key!r} is no key in storage", cure="use a relative path without '..'")
        return path


def _copy(source: BinaryIO, to: Path) -> tuple[int, str]:
    """Copies to a new file, on disk when this returns; returns its size and SHA-256."""
    digest, size = hashlib.sha256(), 0
    with to.open("xb") as out:
        while chunk := source.read(CHUNK_BYTES):
            out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        out.flush()
        os.fsync(out.fileno())
    return size, digest.hexdigest()


def _read(path: Path, start: int, end: int | None) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = None if end is None else max(0, end - start)
        while left is None or left > 0:
            chunk = file.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
            if not chunk:
                return
            if left is not None:
                left -= len(chunk)
            yield chunk
