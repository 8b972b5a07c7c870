"""Reads datasets and their snapshots."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from api.errors import NotFound
from api.jobs.queries import taken_of
from api.jobs.status import TERMINAL
from api.models import Dataset, Job, Snapshot
from workflows.problems import suggest


def every(session: Session) -> Sequence[Dataset]:
    """Returns all datasets, newest first."""
    return session.scalars(select(Dataset).order_by(Dataset.created_at.desc(), Dataset.id)).all()


def one(session: Session, dataset_id: str) -> Dataset:
    """Returns a dataset; raises NotFound, which names those it may have been meant to be."""
    dataset = session.get(Dataset, dataset_id)
    if dataset is None:
        known = session.scalars(select(Dataset.id).order_by(Dataset.id)).all()
        cure = suggest(dataset_id, known) if known else "register it: tiphys dataset add PATH"
        raise NotFound(f"there is no dataset {dataset_id!r}", cure=cure)
    return dataset


def snapshots(session: Session, dataset_id: str) -> Sequence[Snapshot]:
    """Returns the snapshots that were taken of a dataset, newest first."""
    of_it = select(Snapshot).where(taken_of(dataset_id))
    return session.scalars(of_it.order_by(Snapshot.created_at.desc(), Snapshot.id)).all()


def snapshot(session: Session, dataset_id: str, snapshot_id: str) -> Snapshot:
    """Returns one snapshot of a dataset; raises NotFound."""
    one(session, dataset_id)
    found = session.scalar(select(Snapshot).where(Snapshot.id == snapshot_id, taken_of(dataset_id)))
    if found is None:
        known = [item.id for item in snapshots(session, dataset_id)]
        cure = f"{suggest(snapshot_id, known)}; see them: tiphys dataset snapshots {dataset_id}"
        cure = cure if known else "train a job on it: each takes a snapshot of what it sees"
        raise NotFound(f"dataset {dataset_id!r} has no snapshot {snapshot_id!r}", cure=cure)
    return found


def any_snapshot(session: Session, snapshot_id: str) -> Snapshot:
    """Returns a snapshot of whichever dataset; raises NotFound."""
    found = session.get(Snapshot, snapshot_id)
    if found is None:
        raise NotFound(
            f"there is no snapshot {snapshot_id!r}", cure="see those of a dataset: tiphys dataset snapshots ID"
        )
    return found


def unfinished_jobs(session: Session, dataset: Dataset) -> Sequence[str]:
    """Returns the ids of the jobs that have not ended and train on a dataset."""
    on_it = or_(Job.dataset == dataset.id, Job.dataset_uri == dataset.uri)
    query = select(Job.id).where(on_it, Job.state.not_in([state.value for state in TERMINAL]))
    return session.scalars(query.order_by(Job.created_at)).all()
