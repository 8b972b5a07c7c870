"""Finds out where a dataset lies that is registered by reference, and whether it looks like one."""

from __future__ import annotations

import itertools
import os
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from api.artifacts.storage import Storage
from api.errors import Invalid
from workflows.keys import segment

_LOOKED_AT = 5000
"""Files looked at before a folder is taken for something else than a dataset."""
_KINDS = frozenset(
    {".json", ".xml", ".yaml", ".yml", ".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
)


def dataset_id(text: str) -> str:
    """Returns an id that can stand in a storage key; raises Invalid."""
    try:
        return segment(text)
    except ValueError as error:
        raise wrong("id", str(error), "choose another id") from error


def referenced(storage: Storage, *, path: str | None, uri: str | None) -> str:
    """Returns the URI of a dataset given by path or URI: a prefix ending in `/`, or one `.zip`.

    Raises:
        Invalid: both or neither are given, nothing is there, or it does not look like a dataset.
    """
    if (path is None) == (uri is None):
        raise wrong("path", "give either path or uri", "path: a folder or .zip on this machine; uri: file:// or s3://")
    if path is not None:
        return _on_disk(storage, Path(path), field="path")
    assert uri is not None
    if uri.startswith("file://"):
        local = storage.local_path(uri)
        if local is None:
            raise wrong("uri", f"{uri} is no file on this machine", "write file:///absolute/path/")
        return _on_disk(storage, local, field="uri")
    if not uri.startswith("s3://"):
        raise wrong("uri", f"{uri!r} is neither a file:// nor an s3:// URI", "give a path instead, or upload a .zip")
    if storage.target.type == "file":
        raise wrong(
            "uri",
            f"{uri} is in a bucket, and this platform stores in a folder",
            "start the platform with TIPHYS_STORAGE_TYPE and the rest of its bucket set, or add a copy on this machine",
        )
    whole = uri if uri.endswith(("/", ".zip")) else uri + "/"
    if not storage.exists(whole):
        raise wrong("uri", f"there is nothing at {whole}", "correct the URI, or upload a .zip")
    return whole


def _looks_like_one(folder: Path) -> bool:
    names = (name for _, _, names in os.walk(folder) for name in names)
    return any(Path(name).suffix.lower() in _KINDS for name in itertools.islice(names, _LOOKED_AT))


def check_zip(file: Path, *, field: str, called: str) -> None:
    """Raises Invalid where a file is no zip, an empty or a cut off one; unpacking it is the download step's part."""
    try:
        with zipfile.ZipFile(file) as archive:
            empty = not any(not entry.is_dir() for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise wrong(field, f"{called} is no whole .zip file: {error}", "pack the dataset's folder again") from error
    if empty:
        raise wrong(field, f"{called} is empty", "pack the dataset's folder with its images and annotations")


def wrong(field: str, message: str, cure: str, **extra: Any) -> Invalid:
    """Returns the 422 that names a field of a dataset."""
    return Invalid(message, cure=cure, errors=[{"field": field, "message": message, "cure": cure}], **extra)


def _on_disk(storage: Storage, path: Path, *, field: str) -> str:
    if storage.target.type != "file":
        raise wrong(
            field,
            f"{path} is on a disk, and this platform's jobs read from {storage.target.type} storage",
            "upload it as a .zip, or give an s3:// URI",
            upload=True,
        )
    if not path.is_absolute():
        raise wrong(field, f"{str(path)!r} is no absolute path", "write the whole path, beginning with /")
    try:
        if path.is_dir():
            if not _looks_like_one(path):
                raise wrong(
                    field,
                    f"{path} does not look like a dataset: no images and no annotations in it",
                    "give the folder that holds the images and their annotations",
                )
            return f"file://{quote(str(path.resolve()))}/"
        if path.is_file():
            check_zip(path, field=field, called=path.name)
            return f"file://{quote(str(path.resolve()))}"
    except OSError as error:
        raise wrong(field, f"{path} cannot be read: {error.strerror}", "let the platform's user read it") from error
    raise wrong(
        field,
        f"there is nothing at {path} on the platform's machine",
        "correct the path, or upload a .zip",
        upload=True,
    )
