"""What an event and a `done` do to the records; a job's state they never move: the reconciler closes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from api.auth import JobClaims
from api.callbacks import checkpoints, snapshots
from api.callbacks.faults import told_to_trainer
from api.callbacks.heartbeats import event_key
from api.callbacks.schemas import DoneBody, EventBody
from api.errors import NotFound, TraceMismatch
from api.jobs.status import State
from api.models import Attempt, Event, Job
from api.platform import Platform
from api.postgres import is_worth_another_try

_DONE_LEVELS = {State.FAILED: "error", State.CANCELLED: "warning"}


def record_event(platform: Platform, claims: JobClaims, event: EventBody, *, idempotency_key: str | None) -> None:
    """Records an event once, however often it is told, with the checkpoint or snapshot it tells of.

    Raises:
        NotFound, TraceMismatch, StorageFull, Unavailable: nothing was recorded.
    """
    told_by = ("key", idempotency_key) if idempotency_key else ("content", event.digest)
    key = event_key(told_by[0], claims.attempt, told_by[1])
    _in_one_transaction(platform, lambda session: _record_event(session, platform, claims, event, key))
    platform.wake.notify(claims.job_id)


def record_done(platform: Platform, claims: JobClaims, done: DoneBody) -> None:
    """Keeps the first `done` of a try as the attempt's proposal; a second one changes nothing.

    Raises:
        NotFound, TraceMismatch, StorageFull, Unavailable: nothing was recorded.
    """
    _in_one_transaction(platform, lambda session: _record_done(session, platform, claims, done))
    platform.wake.notify(claims.job_id)


def state_of(platform: Platform, job_id: str) -> str:
    """Returns the word for a job's state; raises NotFound."""
    with platform.database.read() as session:
        return _job(session, job_id, None).state


def _in_one_transaction(platform: Platform, record: Callable[[Session], None]) -> None:
    """Records something that is harmless twice, and once more where another process or a lost connection broke in."""
    with told_to_trainer():
        try:
            with platform.database.write() as session:
                record(session)
        except DBAPIError as error:
            # Another process recorded the same snapshot, or event, between our look and our insert: look again.
            if not isinstance(error, IntegrityError) and not is_worth_another_try(error):
                raise
            with platform.database.write() as session:
                record(session)


def _record_event(session: Session, platform: Platform, claims: JobClaims, event: EventBody, key: str) -> None:
    job, at = _job(session, claims.job_id, event.trace_id), platform.clock()
    if session.scalar(select(Event.id).where(Event.job_id == job.id, Event.key == key)) is not None:
        return
    row = _add(session, claims, event.level, event.event_type, event.message, event.data, key=key, at=at)
    if event.event_type == "checkpoint_saved":
        saved = checkpoints.from_event(event.data)
        if saved is not None:
            _save(session, platform, job, claims, saved, at)
    elif event.event_type == "dataset_converted":
        row.data = snapshots.without_split(event.data)
        why = snapshots.save(session, job, event.data, current=claims.attempt == job.attempt, at=at)
        if why:
            _warn(session, claims, "snapshot_refused", why, at)


def _record_done(session: Session, platform: Platform, claims: JobClaims, done: DoneBody) -> None:
    job, at = _job(session, claims.job_id, done.trace_id), platform.clock()
    attempt = session.get(Attempt, (job.id, claims.attempt))
    if attempt is None:
        raise NotFound(f"job {job.id} has no attempt {claims.attempt}")
    if attempt.done_status is not None:
        return
    attempt.done_status, attempt.done, attempt.done_at = done.status, done.record, at
    if claims.attempt == job.attempt and done.final_metrics is not None:
        job.final_metrics = done.final_metrics
    error = done.record.get("error")
    text = f"training {done.status}" + (f": {error}" if error else "")
    level = _DONE_LEVELS.get(done.status, "info")
    data = {"status": done.status.value, "final_metrics": done.final_metrics}
    # The reconciler forgets the word of a try that another has followed; what was told of it stays told.
    before = select(func.count(Event.id)).where(
        Event.job_id == job.id, Event.attempt == claims.attempt, Event.event_type == "done"
    )
    key = event_key("done", claims.attempt, session.scalar(before) or 0)
    _add(session, claims, level, "done", text, data, key=key, at=at)
    for saved in checkpoints.from_artifacts(done.artifacts):
        _save(session, platform, job, claims, saved, at)
    for metric in done.not_finite:
        _warn(
            session, claims, "metric_not_finite", f"final metric {metric} was not a finite number; stored as null", at
        )


def _job(session: Session, job_id: str, trace_id: str | None) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id}", cure="it may have been deleted; stop training")
    if trace_id is not None and trace_id != job.trace_id:
        raise TraceMismatch(
            f"trace_id {trace_id!r} is not that of job {job.id}", cure="send the TRACE_ID of the environment"
        )
    return job


def _save(
    session: Session, platform: Platform, job: Job, claims: JobClaims, saved: checkpoints.Saved, at: datetime
) -> None:
    why = checkpoints.save(session, platform.storage, job, attempt=claims.attempt, saved=saved, at=at)
    if why:
        _warn(session, claims, "checkpoint_refused", f"checkpoint {saved.kind} is not recorded: {why}", at)


def _warn(session: Session, claims: JobClaims, event_type: str, message: str, at: datetime) -> None:
    key = event_key(event_type, claims.attempt, message)
    if session.scalar(select(Event.id).where(Event.job_id == claims.job_id, Event.key == key)) is None:
        _add(session, claims, "warning", event_type, message, {}, key=key, at=at, kind="platform")


def _add(
    session: Session,
    claims: JobClaims,
    level: str,
    event_type: str,
    message: str,
    data: dict[str, Any],
    *,
    key: str,
    at: datetime,
    kind: str = "trainer",
) -> Event:
    row = Event(
        job_id=claims.job_id,
        attempt=claims.attempt,
        kind=kind,
        level=level,
        event_type=event_type,
        message=message,
        data=data,
        key=key,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return row
