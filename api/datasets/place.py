"""Finds out where a dataset lies that is registered by reference, and whether it looks like one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from urllib.parse import quote

from api.artifacts.storage import Storage
from api.errors import Invalid
from workflows.keys import segment

_DOCUMENTS = ("annotation*.json", "instances_*.json", "annotations/*.json", "labels.json", "data.yaml", "images/*")


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
        raise wrong("uri", f"{uri} is in a bucket, and this platform stores in a folder", "upload the .zip, or a path")
    whole = uri if uri.endswith(("/", ".zip")) else uri + "/"
    if not storage.exists(whole):
        raise wrong("uri", f"there is nothing at {whole}", "correct the URI, or upload a .zip")
    return whole


def check_zip(file: Path, *, field: str) -> None:
    """Raises Invalid where a file is no zip, an empty or a cut off one; unpacking it is the download step's part."""
    try:
        with zipfile.ZipFile(file) as archive:
            empty = not any(not entry.is_dir() for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise wrong(field, f"{file.name} is no whole .zip file: {error}", "pack the dataset's folder again") from error
    if empty:
        raise wrong(field, f"{file.name} is empty", "pack the dataset's folder with its images and annotations")


def wrong(field: str, message: str, cure: str) -> Invalid:
    """Returns the 422 that names a field of a dataset."""
    return Invalid(message, cure=cure, errors=[{"field": field, "message": message, "cure": cure}])


def _on_disk(storage: Storage, path: Path, *, field: str) -> str:
    if storage.target.type != "file":
        raise wrong(
            field,
            f"{path} is on a disk, and this platform's jobs read from {storage.target.type} storage",
            "upload it as a .zip, or give an s3:// URI",
        )
    if not path.is_absolute():
        raise wrong(field, f"{str(path)!r} is no absolute path", "write the whole path, beginning with /")
    try:
        if path.is_dir():
            if not any(True for pattern in _DOCUMENTS for _ in path.glob(pattern)):
                raise wrong(
                    field,
                    f"{path} does not look like a dataset: no annotations*.json and no images/ in it",
                    "give the folder that holds annotations.json and images/",
                )
            return f"file://{quote(str(path.resolve()))}/"
        if path.is_file():
            check_zip(path, field=field)
            return f"file://{quote(str(path.resolve()))}"
    except OSError as error:
        raise wrong(field, f"{path} cannot be read: {error.strerror}", "let the platform's user read it") from error
    raise wrong(field, f"there is nothing at {path} on the platform's machine", "correct the path, or upload a .zip")
