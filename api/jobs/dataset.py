"""Finds the dataset a job asks for, by id, path or URI; and the snapshot and the split that go with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from api.artifacts.storage import Storage
from api.db import Database
from api.errors import Invalid
from api.jobs import queries
from api.models import Dataset, Snapshot
from workflows.environment import dataset_id
from workflows.problems import near
from workflows.spec import JobSpec
from workflows.split import Split

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class DatasetUnknown(Invalid):
    """A job asks for a dataset that is not there."""

    code = "dataset_unknown"


class SnapshotUnknown(Invalid):
    """A job asks for a snapshot that is not there, or that is of another dataset."""

    code = "snapshot_unknown"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What a job trains on."""

    spec: JobSpec
    """The job's, with the dataset's own split where it leaves it to the dataset."""
    uri: str
    registered: str | None
    """The dataset's id, where it was named by one."""
    snapshot_id: str | None


def choose(database: Database, storage: Storage, spec: JobSpec) -> Chosen:
    """Returns what a resolved job trains on.

    Raises:
        DatasetUnknown, SnapshotUnknown: the message names what is missing and the cure.
        Unavailable: the storage that should hold it cannot be asked.
    """
    row = _registered(database, storage, spec.dataset) if _is_id(spec.dataset) else None
    uri = row.uri if row is not None else resolve_dataset(database, storage, spec.dataset)
    if spec.snapshot is not None:
        _check_snapshot(database, spec.snapshot, dataset_id(spec.dataset))
    elif row is not None and row.split:
        # Written into the job, so that its record says how it was divided whatever becomes of the dataset's own.
        spec = spec.model_copy(update={"split": spec.split.over(Split.model_validate(row.split))})
    return Chosen(spec=spec, uri=uri, registered=row.id if row is not None else None, snapshot_id=spec.snapshot)


def _check_snapshot(database: Database, snapshot_id: str, of: str) -> None:
    with database.read() as session:
        found = session.get(Snapshot, snapshot_id)
        known = queries.snapshot_ids(session, of) if found is None else []
        foreign = found is not None and queries.foreign_snapshot(session, found, of)
    if found is None:
        some = f"take one of dataset {of}: {', '.join(known)}" if known else "leave it out: the job then takes one"
        cure = f"{some} (tiphys dataset snapshots {of})"
        message = f"there is no snapshot {snapshot_id}"
    elif foreign:
        message, cure = (
            f"snapshot {snapshot_id} is of dataset {found.dataset_id!r}",
            f"write dataset: {found.dataset_id}",
        )
    else:
        return
    problem = {"field": "snapshot", "message": message, "cure": cure}
    raise SnapshotUnknown(f"snapshot: {message}", cure=cure, errors=[problem])


def _is_id(dataset: str) -> bool:
    return _ID.fullmatch(dataset) is not None


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
    if not _is_id(dataset):
        raise _unknown(
            f"{dataset!r} is neither a dataset's id, nor an absolute path, nor a URI",
            "write the absolute path, or register it: tiphys dataset add",
        )
    return _registered(database, storage, dataset).uri


def _registered(database: Database, storage: Storage, dataset: str) -> Dataset:
    with database.read() as session:
        found = queries.dataset(session, dataset)
        known = queries.dataset_ids(session) if found is None else []
    if found is not None and found.deleting:
        raise _unknown(f"dataset {dataset!r} is being deleted", "register it anew: tiphys dataset add PATH")
    if found is not None:
        # Asking a bucket costs a round trip a submit: there the download step is the one to notice.
        if storage.local_path(found.uri) is not None and not storage.exists(found.uri):
            raise _unknown(
                f"dataset {dataset!r} is registered, but there is nothing left at {found.uri}",
                f"put its files back, or register it anew: tiphys dataset add PATH --id {dataset}",
            )
        return found
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


def vanished(dataset: str) -> DatasetUnknown:
    """Returns the refusal of a dataset that was deleted or replaced since it was looked up."""
    return _unknown(f"dataset {dataset!r} was deleted or replaced at this very moment", "submit the job again")


def _unknown(message: str, cure: str) -> DatasetUnknown:
    problem = {"field": "dataset", "message": message, "cure": cure}
    return DatasetUnknown(f"dataset: {message}", cure=cure, errors=[problem])
