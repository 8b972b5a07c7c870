"""Where the dataset of a job lies: named by its id, a path or a URI."""

from __future__ import annotations

from pathlib import Path

from workflows import keys
from workflows.keys import StorageTarget
from workflows.problems import Problem, SpecError

SCHEMES = ("file://", "s3://")


def dataset_uri(dataset: str, storage: StorageTarget) -> str:
    """Returns a dataset's URI, a prefix ending in `/` or a `.zip`; raises SpecError where there is no such thing."""
    if "://" in dataset:
        if not dataset.startswith(SCHEMES):
            raise _missing(f"{dataset} is no place a step can read", f"use {' or '.join(SCHEMES)}")
        return dataset if dataset.endswith(("/", ".zip")) else f"{dataset}/"
    if stored := _stored(dataset, storage):
        return stored
    path = Path(dataset).expanduser()
    if path.is_dir():
        return f"{path.resolve().as_uri()}/"
    if path.is_file() and path.suffix == ".zip":
        return path.resolve().as_uri()
    if path.exists():
        raise _missing(f"{dataset} is neither a folder nor a .zip", "give the folder that holds images/")
    where = f" in {storage.root} and no such path" if storage.root else ""
    raise _missing(f"there is no dataset {dataset!r}{where}", "add it first, or give the path of its folder or .zip")


def _stored(dataset: str, storage: StorageTarget) -> str | None:
    try:
        prefix, archive = keys.dataset_prefix(dataset), keys.dataset_zip(dataset)
    except ValueError:
        return None  # no id: a path
    if storage.root is None:
        return storage.uri(prefix)  # a bucket is asked by the step that fetches it
    if (Path(storage.root) / prefix).is_dir():
        return storage.uri(prefix)
    return storage.uri(archive) if (Path(storage.root) / archive).is_file() else None


def _missing(message: str, cure: str) -> SpecError:
    return SpecError([Problem("dataset", message, cure)])
