"""Finds the dataset a job asks for: a registered id, a path on this machine, or a URI."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from api.artifacts.storage import Storage
from api.db import Database
from api.errors import Invalid
from api.jobs import queries
from workflows.problems import near

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class DatasetUnknown(Invalid):
    """A job asks for a dataset that is not there."""

    code = "dataset_unknown"


def resolve_dataset(database: Database, storage: Storage, dataset: str) -> str:
    """Returns the URI of a dataset: a prefix ending in `/`, or one `.zip`.

    Raises:
        DatasetUnknown: there is no such dataset; the message names it and the cure.
        Unavailable: the storage that should hold it cannot be asked.
    """
    if dataset.startswith("s3://"):
        return _in_bucket(storage, dataset)
    if dataset.startswith(("file://", "/", "~")):
        return _on_disk(storage, dataset)
    if not _ID.fullmatch(dataset):
        raise _unknown(
            f"{dataset!r} is neither a dataset's id, nor an absolute path, nor a URI",
            "write the absolute path, or register it: tiphys dataset add",
        )
    with database.read() as session:
        found = queries.dataset(session, dataset)
        known = queries.dataset_ids(session) if found is None else []
    if found is not None:
        # Asking a bucket costs a round trip a submit: there the download step is the one to notice.
        if storage.local_path(found.uri) is not None and not storage.exists(found.uri):
            raise _unknown(
                f"dataset {dataset!r} is registered, but there is nothing left at {found.uri}",
                f"put its files back, or register it anew: tiphys dataset add PATH --id {dataset}",
            )
        return found.uri
    alike = near(dataset, known)
    meant = f"did you mean {' or '.join(alike)}? Otherwise " if alike else ""
    raise _unknown(
        f"there is no dataset {dataset!r}",
        f"{meant}register it: tiphys dataset add PATH --id {dataset}"
        + ("" if alike or not known else f" (there is: {', '.join(known[:10])})"),
    )


def _on_disk(storage: Storage, dataset: str) -> str:
    if storage.target.type != "file":
        raise _unknown(
            f"dataset {dataset} is on a disk, and this platform's jobs read from {storage.target.type} storage",
            "upload it: tiphys dataset add PATH",
        )
    if dataset.startswith("~"):
        raise _unknown(f"dataset {dataset!r} begins with '~'", "write the absolute path")
    path = storage.local_path(dataset) if dataset.startswith("file://") else Path(dataset)
    if path is None or not path.is_absolute():
        raise _unknown(f"{dataset} is not a file URI", "write file:///absolute/path/")
    uri = f"file://{quote(str(path))}"
    if path.is_dir():
        return uri + "/"
    if path.suffix.lower() == ".zip" and path.is_file():
        return uri
    what = "is neither a folder nor a .zip" if path.exists() else "does not exist"
    raise _unknown(f"dataset {path} {what} on the platform's machine", "correct the path, or: tiphys dataset add PATH")


def _in_bucket(storage: Storage, dataset: str) -> str:
    if storage.target.type == "file":
        raise _unknown(
            f"dataset {dataset} is in a bucket, and this platform keeps its files in a folder",
            "fetch it and register the folder: tiphys dataset add PATH",
        )
    uri = dataset if dataset.endswith(("/", ".zip")) else dataset + "/"
    if storage.exists(uri):
        return uri
    raise _unknown(f"there is nothing at {uri}", "correct the URI, or upload the dataset: tiphys dataset add PATH")


def _unknown(message: str, cure: str) -> DatasetUnknown:
    problem = {"field": "dataset", "message": message, "cure": cure}
    return DatasetUnknown(f"dataset: {message}", cure=cure, errors=[problem])
