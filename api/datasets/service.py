"""Registers, checks and forgets datasets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from api.datasets import queries
from api.datasets.check import run_check
from api.datasets.place import check_zip, dataset_id, referenced
from api.datasets.schemas import DatasetReference
from api.errors import Conflict
from api.models import Dataset
from api.platform import Platform
from workflows.keys import dataset_zip

_uploading: set[tuple[str, str]] = set()
_uploading_lock = threading.Lock()


def add_reference(platform: Platform, asked: DatasetReference) -> Dataset:
    """Registers a dataset where it lies; the same place under the same id again is no error.

    Raises:
        Invalid: nothing is there, or it does not look like a dataset.
        Conflict: the id stands for another dataset.
    """
    uri = referenced(platform.storage, path=asked.path, uri=asked.uri)
    made_id = dataset_id(asked.id if asked.id is not None else _name_of(uri))
    return _register(platform, made_id, name=asked.name or made_id, uri=uri, source="reference")


def add_upload(platform: Platform, file: Path, *, id: str, name: str | None) -> Dataset:
    """Keeps an uploaded zip in storage and registers it; where anything fails nothing stays behind.

    Raises:
        Invalid: it is no zip. Conflict: the id is taken. StorageFull, Unavailable: storage did not take it.
    """
    made_id = dataset_id(id)
    with _alone(platform, made_id):
        uri = platform.storage.target.uri(dataset_zip(made_id))
        with platform.database.read() as session:
            _may_register(platform, session.get(Dataset, made_id), made_id, None)
        check_zip(file, field="file")
        stored = platform.storage.write_file(dataset_zip(made_id), file)
        assert stored.uri == uri
        return _register(platform, made_id, name=name or made_id, uri=uri, source="upload")


def check(platform: Platform, dataset_id: str, *, task: str | None) -> Dataset:
    """Checks a dataset with the convert step's own rules, and keeps the report.

    Raises:
        NotFound: there is no such dataset. Invalid: there is no such task, or the data cannot be fetched.
        Unavailable: the checker cannot run here, or took too long.
    """
    with platform.database.read() as session:
        found = queries.one(session, dataset_id)
    report = run_check(platform, found.uri, dataset_id=dataset_id, task=task)
    with platform.database.write() as session:
        row = queries.one(session, dataset_id)
        if row.uri != found.uri:
            raise Conflict(f"dataset {dataset_id!r} was replaced while it was checked", cure="check it again")
        row.check_report, row.checked_at = report, platform.clock()
        row.layout, row.task, row.classes = report.get("layout"), report.get("task"), report.get("classes")
        row.counts, row.version_hash = report.get("counts"), report.get("dataset_version_hash")
        return row


def delete(platform: Platform, dataset_id: str) -> None:
    """Forgets a dataset; an uploaded one goes from storage, a referenced one stays where its owner keeps it.

    Raises:
        NotFound: there is no such dataset. Conflict: jobs that have not ended train on it.
    """
    with platform.database.read() as session:
        dataset = queries.one(session, dataset_id)
        jobs = queries.unfinished_jobs(session, dataset)
    if jobs:
        few = ", ".join(jobs[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
        raise Conflict(
            f"dataset {dataset_id!r} is in use by {few}", cure="wait until they have ended, or cancel them first"
        )
    if dataset.source == "upload":
        # First the object: what fails in between is a dataset without data, which can be deleted again.
        platform.storage.delete(dataset_zip(dataset_id))
    with platform.database.write() as session:
        session.delete(queries.one(session, dataset_id))


def _register(platform: Platform, made_id: str, *, name: str, uri: str, source: str) -> Dataset:
    try:
        with platform.database.write() as session:
            row = session.get(Dataset, made_id)
            if not _may_register(platform, row, made_id, uri if source == "reference" else None):
                assert row is not None
                return row
            if row is None:
                row = Dataset(id=made_id)
                session.add(row)
            row.name, row.uri, row.source, row.created_at = name, uri, source, platform.clock()
            for column in ("layout", "task", "classes", "counts", "version_hash", "check_report", "checked_at"):
                setattr(row, column, None)
            session.flush()
            return row
    except IntegrityError as error:
        raise _taken(made_id, "somebody has just registered it") from error


def _may_register(platform: Platform, row: Dataset | None, made_id: str, uri: str | None) -> bool:
    """Tells whether a row must be written; False where it is there already; raises Conflict."""
    if row is None:
        return True
    if row.uri == uri:
        return False
    # The data of a dataset may vanish under us; its id is then free for data that is there.
    if platform.storage.local_path(row.uri) is not None and not platform.storage.exists(row.uri):
        return True
    raise _taken(made_id, f"it stands for {row.uri}")


def _taken(made_id: str, why: str) -> Conflict:
    return Conflict(
        f"the dataset id {made_id!r} is taken: {why}",
        cure=f"choose another id, or delete that one first: tiphys dataset delete {made_id}",
    )


@contextmanager
def _alone(platform: Platform, made_id: str) -> Iterator[None]:
    """Two uploads under one id at the same time would write one object: the second is refused."""
    mark = (platform.database.url, made_id)
    with _uploading_lock:
        if mark in _uploading:
            raise _taken(made_id, "it is being uploaded right now")
        _uploading.add(mark)
    try:
        yield
    finally:
        with _uploading_lock:
            _uploading.discard(mark)


def _name_of(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2].removesuffix(".zip")
