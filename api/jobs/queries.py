"""Every SELECT about jobs and what hangs on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, or_, select, tuple_
from sqlalchemy.orm import Session

from api.errors import NotFound
from api.models import Attempt, Checkpoint, Dataset, Event, Heartbeat, Job, Snapshot

PAGE = 2000
"""Heartbeats read at a time where all are wanted."""


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs a list shows; an empty field takes all."""

    states: Sequence[str] = ()
    project: str | None = None
    framework: str | None = None
    model: str | None = None
    dataset: str | None = None
    labels: Sequence[tuple[str, str]] = ()
    q: str | None = None
    """Part of a name, an id, a model or a dataset."""
    before: tuple[datetime, str] | None = None
    """Only what is older than this (created_at, id)."""


@dataclass(frozen=True)
class Pulse:
    """How a job stands, and how far its records go."""

    state: str
    reason: str | None
    closed: bool
    """Whether its current attempt is closed."""
    event: int
    """The newest event's id, 0 where there is none."""
    heartbeat: int
    """The newest heartbeat's number, 0 where there is none."""


_PULSE = (
    select(
        Job.state,
        Job.reason,
        Attempt.closed,
        select(func.max(Event.id)).where(Event.job_id == bindparam("job_id")).scalar_subquery(),
        select(func.max(Heartbeat.seq)).where(Heartbeat.job_id == bindparam("job_id")).scalar_subquery(),
    )
    .join(Attempt, and_(Attempt.job_id == Job.id, Attempt.number == Job.attempt))
    .where(Job.id == bindparam("job_id"))
)


_PULSES = (
    select(
        Job.id,
        Job.state,
        Job.reason,
        Attempt.closed,
        select(func.max(Event.id)).where(Event.job_id == Job.id).correlate(Job).scalar_subquery(),
        select(func.max(Heartbeat.seq)).where(Heartbeat.job_id == Job.id).correlate(Job).scalar_subquery(),
    )
    .join(Attempt, and_(Attempt.job_id == Job.id, Attempt.number == Job.attempt))
    .where(Job.id.in_(bindparam("job_ids", expanding=True)))
)


def job_by_id(session: Session, job_id: str) -> Job:
    """Returns a job; raises NotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id}", cure="list them: GET /api/v1/training/jobs, or `tiphys jobs`")
    return job


def attempt_of(session: Session, job: Job, number: int | None = None) -> Attempt:
    """Returns one attempt of a job, the current one where no number is given; raises NotFound."""
    attempt = session.get(Attempt, (job.id, number or job.attempt))
    if attempt is None:
        raise NotFound(f"job {job.id} has no attempt {number}", cure=f"it has attempts 1 to {job.attempt}")
    return attempt


def attempts_of(session: Session, job_id: str) -> list[Attempt]:
    """Returns a job's attempts, oldest first."""
    return list(session.scalars(select(Attempt).where(Attempt.job_id == job_id).order_by(Attempt.number)))


def job_by_key(session: Session, idempotency_key: str) -> Job | None:
    """Returns the job that was made with an idempotency key."""
    return session.scalar(select(Job).where(Job.idempotency_key == idempotency_key))


def jobs(session: Session, wanted: JobFilter, *, limit: int) -> list[Job]:
    """Returns jobs newest first."""
    query = _filtered(select(Job), wanted).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)
    return list(session.scalars(query))


def _filtered(query: Select[tuple[Job]], wanted: JobFilter) -> Select[tuple[Job]]:
    if wanted.states:
        query = query.where(Job.state.in_(wanted.states))
    exact = {"project": wanted.project, "framework": wanted.framework, "model": wanted.model, "dataset": wanted.dataset}
    for name, value in exact.items():
        if value is not None:
            query = query.where(getattr(Job, name) == value)
    for key, value in wanted.labels:
        query = query.where(Job.labels[key].as_string() == value)
    if wanted.q:
        columns = (Job.id, Job.name, Job.model, Job.dataset)
        query = query.where(or_(*(column.icontains(wanted.q, autoescape=True) for column in columns)))
    if wanted.before is not None:
        query = query.where(tuple_(Job.created_at, Job.id) < tuple_(*wanted.before))
    return query


def best_checkpoints(session: Session, job_ids: Iterable[str]) -> dict[str, Checkpoint]:
    """Returns the best checkpoint of each job that has one, by job id."""
    query = select(Checkpoint).where(Checkpoint.job_id.in_(list(job_ids)), Checkpoint.kind == "best")
    return {checkpoint.job_id: checkpoint for checkpoint in session.scalars(query)}


def checkpoints(session: Session, job_id: str) -> list[Checkpoint]:
    """Returns a job's checkpoints, by kind."""
    return list(session.scalars(select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.kind)))


def checkpoint(session: Session, job: Job, kind: str) -> Checkpoint:
    """Returns one checkpoint of a job; raises NotFound."""
    query = select(Checkpoint).where(Checkpoint.job_id == job.id, Checkpoint.kind == kind)
    found = session.scalar(query)
    if found is None:
        kinds = [c.kind for c in checkpoints(session, job.id)]
        cure = f"it has: {', '.join(kinds)}" if kinds else "it has none yet: the first is saved after its first epoch"
        raise NotFound(f"job {job.id} has no checkpoint {kind!r}", cure=cure)
    return found


def events(
    session: Session, job_id: str, *, after: int = 0, limit: int, kind: str | None = None, level: str | None = None
) -> list[Event]:
    """Returns a job's events after an id, oldest first."""
    query = select(Event).where(Event.job_id == job_id, Event.id > after)
    if kind is not None:
        query = query.where(Event.kind == kind)
    if level is not None:
        query = query.where(Event.level == level)
    return list(session.scalars(query.order_by(Event.id).limit(limit)))


def all_heartbeats(session: Session, job_id: str, *, attempts: Sequence[int]) -> Iterator[Heartbeat]:
    """Yields every heartbeat of some attempts, oldest first, a page at a time: a long training has a million."""
    after = 0
    while page := heartbeats(session, job_id, after=after, limit=PAGE, attempts=attempts):
        yield from page
        after = page[-1].seq
        session.expunge_all()


def heartbeats(
    session: Session, job_id: str, *, after: int = 0, limit: int, attempts: Sequence[int] | None = None
) -> list[Heartbeat]:
    """Returns a job's heartbeats after a sequence number, oldest first."""
    query = select(Heartbeat).where(Heartbeat.job_id == job_id, Heartbeat.seq > after)
    if attempts is not None:
        query = query.where(Heartbeat.attempt.in_(attempts))
    return list(session.scalars(query.order_by(Heartbeat.seq).limit(limit)))


def pulse(session: Session, job_id: str) -> Pulse | None:
    """Returns how a job stands in one statement, cheap enough to be asked often; None where there is no such job."""
    row = session.connection().execute(_PULSE, {"job_id": job_id}).one_or_none()
    return None if row is None else Pulse(row[0], row[1], row[2], row[3] or 0, row[4] or 0)


def pulses(session: Session, job_ids: Sequence[str]) -> dict[str, Pulse]:
    """Returns how several jobs stand, in one statement."""
    rows = session.connection().execute(_PULSES, {"job_ids": list(job_ids)})
    return {row[0]: Pulse(row[1], row[2], row[3], row[4] or 0, row[5] or 0) for row in rows}


def first_and_last_epoch(session: Session, job_id: str, attempt: int) -> tuple[Heartbeat, Heartbeat] | None:
    """Returns an attempt's heartbeats of its first and its newest epoch, None where it told of none."""
    mine = and_(Heartbeat.job_id == job_id, Heartbeat.attempt == attempt, Heartbeat.epoch >= 0)
    order = (Heartbeat.epoch, Heartbeat.step)
    first = session.scalar(select(Heartbeat).where(mine).order_by(*order).limit(1))
    last = session.scalar(select(Heartbeat).where(mine).order_by(*(c.desc() for c in order)).limit(1))
    return (first, last) if first is not None and last is not None else None


def dataset(session: Session, dataset_id: str) -> Dataset | None:
    """Returns a registered dataset."""
    return session.get(Dataset, dataset_id)


def dataset_stands(session: Session, dataset_id: str, uri: str) -> bool:
    """Tells whether a dataset is registered at a place and not being deleted; it stays so until the commit."""
    query = select(Dataset.deleting).where(Dataset.id == dataset_id, Dataset.uri == uri)
    return session.scalar(query.with_for_update(read=True)) is False


def taken_of(dataset_id: str) -> ColumnElement[bool]:
    """Returns what holds for the snapshots of a dataset.

    A snapshot is named by its content and recorded once: the same data below a second id has the first one's.
    """
    of_its_jobs = select(Job.snapshot_id).where(Job.dataset == dataset_id, Job.snapshot_id.is_not(None))
    return or_(Snapshot.dataset_id == dataset_id, Snapshot.id.in_(of_its_jobs))


def snapshot_ids(session: Session, dataset_id: str) -> list[str]:
    """Returns the ids of a dataset's newest snapshots, at most five."""
    of_it = select(Snapshot.id).where(taken_of(dataset_id))
    return list(session.scalars(of_it.order_by(Snapshot.created_at.desc(), Snapshot.id).limit(5)))


def foreign_snapshot(session: Session, snapshot: Snapshot, dataset_id: str) -> bool:
    """Tells whether a snapshot is of another dataset that is still registered: of one that has gone it may be any's."""
    taken = session.scalar(select(Snapshot.id).where(Snapshot.id == snapshot.id, taken_of(dataset_id)))
    return taken is None and session.get(Dataset, snapshot.dataset_id) is not None


def snapshot(session: Session, snapshot_id: str | None) -> Snapshot | None:
    """Returns what a job trains on, once that is known."""
    return session.get(Snapshot, snapshot_id) if snapshot_id else None


def conversion(session: Session, job: Job) -> dict[str, Any] | None:
    """Returns what the convert step of a job last told of its work."""
    told = select(Event.data).where(Event.job_id == job.id, Event.event_type == "dataset_converted")
    data = session.scalar(told.order_by(Event.id.desc()).limit(1))
    made = data.get("conversion") if isinstance(data, dict) else None
    return made if isinstance(made, dict) else None


def dataset_ids(session: Session) -> list[str]:
    """Returns the ids of all registered datasets, newest first, at most 1000."""
    return list(session.scalars(select(Dataset.id).order_by(Dataset.created_at.desc()).limit(1000)))
