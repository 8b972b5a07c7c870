"""Registers and forgets datasets."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError

from api.datasets import queries, tasks
from api.datasets.outputs import adopt_file
from api.datasets.place import check_zip, dataset_id, referenced
from api.datasets.schemas import DatasetReference
from api.errors import Conflict, TiphysError
from api.models import Dataset
from api.platform import Platform
from workflows.keys import dataset_outputs_prefix, dataset_zip

_uploading: set[tuple[str, str]] = set()
_uploading_lock = threading.Lock()

LAST_SEEN = ("layout", "task", "classes", "counts", "version_hash", "check_report", "checked_at")
"""What a check saw; nothing of it holds for other data."""


def add_reference(platform: Platform, asked: DatasetReference) -> Dataset:
    """Registers a dataset where it lies; the same place under the same id again is no error.

    Raises:
        Invalid: nothing is there, or it does not look like a dataset.
        Conflict: the id stands for another dataset.
    """
    uri = referenced(platform.storage, path=asked.path, uri=asked.uri)
    made_id = dataset_id(asked.id if asked.id is not None else _name_of(uri))
    return _register(platform, made_id, name=asked.name or made_id, uri=uri, source="reference")


def add_upload(platform: Platform, file: Path, *, id: str, name: str | None, called: str = "the file") -> Dataset:
    """Takes an uploaded zip into storage and registers it; where anything fails nothing stays behind.

    Raises:
        Invalid: it is no zip. Conflict: the id is taken. StorageFull, Unavailable: storage did not take it.
    """
    made_id = dataset_id(id)
    with _alone(platform, made_id):
        with platform.database.read() as session:
            _may_register(platform, session.get(Dataset, made_id), made_id, None)
        check_zip(file, field="file", called=called)
        uri = adopt_file(platform.storage, file, key=dataset_zip(made_id))
        try:
            return _register(platform, made_id, name=name or made_id, uri=uri, source="upload")
        except BaseException:
            with contextlib.suppress(TiphysError):  # what is told is why the record failed
                platform.storage.delete(dataset_zip(made_id))
            raise


def delete(platform: Platform, dataset_id: str) -> None:
    """Forgets a dataset; what lies in our storage goes, a referenced one stays where its owner keeps it.

    Raises:
        NotFound: there is no such dataset. Conflict: jobs or tasks that have not ended use it.
    """
    with platform.database.write() as session:
        dataset = queries.one(session, dataset_id)
        users = [f"job {id}" for id in queries.unfinished_jobs(session, dataset)]
        users += [f"its {task.kind} task {task.id}" for task in tasks.open_tasks(session, dataset_id)]
        if users:
            few = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
            raise Conflict(
                f"dataset {dataset_id!r} is in use by {few}", cure="wait until they have ended, or cancel them first"
            )
        # From here on nothing begins on it; where the removal breaks off, it is asked for again.
        dataset.deleting = True
    _remove_files(platform, dataset)
    platform.storage.delete_prefix(dataset_outputs_prefix(dataset_id))
    with platform.database.write() as session:
        session.delete(queries.one(session, dataset_id))


def set_split(platform: Platform, dataset_id: str, split: Mapping[str, Any] | None) -> Dataset:
    """Keeps the split that a dataset's jobs use where they leave it to the dataset; raises Invalid."""
    # The same words, and the same errors, as a task that resolves it first.
    asked = tasks.understood("split", {"split": split, "save": split is not None})
    with platform.database.write() as session:
        row = tasks.usable(session, dataset_id)
        row.split = asked.get("split")
        return row


def _remove_files(platform: Platform, dataset: Dataset) -> None:
    if dataset.source == "upload":
        platform.storage.delete(dataset_zip(dataset.id))
    elif dataset.source == "repaired":
        root = platform.storage.target.uri("datasets/")
        key = dataset.uri.removeprefix(root)
        if dataset.uri.startswith(root) and key.strip("/"):
            platform.storage.delete_prefix(f"datasets/{key}")
        if dataset.origin == platform.storage.target.uri(dataset_zip(dataset.id)):
            platform.storage.delete(dataset_zip(dataset.id))


def _register(platform: Platform, made_id: str, *, name: str, uri: str, source: str) -> Dataset:
    try:
        with platform.database.write() as session:
            row = session.get(Dataset, made_id)
            if not _may_register(platform, row, made_id, uri if source == "reference" else None):
                assert row is not None
                return row
            if row is None:
                row = Dataset(id=made_id, deleting=False)
                session.add(row)
            row.name, row.uri, row.source, row.created_at = name, uri, source, platform.clock()
            row.origin = row.split = None
            for column in LAST_SEEN:
                setattr(row, column, None)
            session.flush()
            return row
    except IntegrityError as error:
        raise _taken(made_id, "somebody has just registered it") from error


def _may_register(platform: Platform, row: Dataset | None, made_id: str, uri: str | None) -> bool:
    """Tells whether a row must be written; False where it is there already; raises Conflict."""
    if row is None:
        return True
    if row.deleting:
        raise _taken(made_id, "it is being deleted")
    if uri is not None and uri in (row.uri, row.origin):
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
