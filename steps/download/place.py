"""Finds a dataset at the place that a job names: a prefix or a zip, in a folder or in a bucket."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from steps.download.source import Source, refused
from steps.trainer_sdk import ErrorType, Storage, TrainerError


@contextlib.contextmanager
def open_source(uri: str, *, storage: Storage) -> Iterator[tuple[Source, str]]:
    """Opens a dataset and gives its own key prefix; a prefix also finds the zip beside it, and the other way round."""
    if not uri.startswith(("file://", "s3://")):
        message = (
            f"DATASET_S3_URI {uri!r} is no address of a dataset: use s3://bucket/prefix/, file:///folder/ or a .zip"
        )
        raise TrainerError(ErrorType.CONFIG_ERROR, message)
    base = uri.removesuffix(".zip").rstrip("/")
    candidates = [f"{base}.zip", f"{base}/"] if uri.endswith(".zip") else [f"{base}/", f"{base}.zip"]
    for candidate in candidates:
        found = _zip(candidate, storage) if candidate.endswith(".zip") else _prefix(candidate, storage)
        if found is None:
            continue
        with contextlib.closing(found) if hasattr(found, "close") else contextlib.nullcontext():
            if candidate.endswith(".zip") or found.sizes():
                yield found, candidate.removeprefix("s3://").partition("/")[2] if candidate.endswith("/") else ""
                return
    message = f"the dataset is not at {uri} (nor at {candidates[1]}): it was moved, deleted or never uploaded"
    raise refused(f"{message}; upload it again, or register its new place")


def _prefix(uri: str, storage: Storage) -> Source | None:
    if uri.startswith("s3://"):
        from steps.download.bucket import Bucket  # each kind of place is loaded only where it is used

        return Bucket(uri, storage=storage)
    from steps.download.folder import Folder

    path = Path(unquote(uri.removeprefix("file://")))
    return Folder(path, uri=uri) if path.is_dir() else None


def _zip(uri: str, storage: Storage) -> Source | None:
    from steps.download.archive import Archive
    from steps.download.objects import Objects
    from steps.download.reader import LocalReader, RangeReader

    if uri.startswith("file://"):
        path = Path(unquote(uri.removeprefix("file://")))
        return Archive(LocalReader(path), uri=uri) if path.is_file() else None
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    objects = Objects(bucket, storage=storage)
    listed = objects.head(key)
    return Archive(RangeReader(objects, key, listed=listed, storage=storage), uri=uri) if listed else None
