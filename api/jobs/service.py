"""What can be done with a job: create, start, cancel, retry, delete."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api.errors import BadRequest, Conflict, IdempotencyConflict, IllegalMove
from api.jobs import queries, views
from api.jobs.dataset import choose, vanished
from api.jobs.files import log_folder
from api.jobs.schemas import JobView
from api.jobs.status import TERMINAL, Reason, State, move
from api.models import NAME_LENGTH, Attempt, Base, Dataset, Event, Job
from api.platform import Platform
from workflows.keys import checkpoints_prefix, logs_prefix, new_job_id, new_trace_id, workflow_name
from workflows.spec import JobSpec

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Created:
    """The job a request stands for, and whether this very request made it."""

    job: JobView
    fresh: bool


def create_job(
    platform: Platform, request: Mapping[str, Any], *, start: bool = True, idempotency_key: str | None = None
) -> Created:
    """Records a job; the reconciler hands it to the engine.

    Raises:
        SpecError: the request is wrong; every problem at once.
        DatasetUnknown, SnapshotUnknown: the dataset, or the snapshot of it, is not there.
        IdempotencyConflict: the key was used for another request.
    """
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise BadRequest("the Idempotency-Key is not 1 to 255 printable characters", cure="send for example a UUID")
    asked = JobSpec.from_mapping(request)
    digest = _digest(asked, start)
    if idempotency_key is not None and (known := _known(platform, idempotency_key, digest)) is not None:
        return Created(known, fresh=False)
    chosen = choose(platform.database, platform.storage, asked.resolved())
    job = _new_job(platform, chosen.spec, chosen.uri, start=start)
    job.snapshot_id = chosen.snapshot_id
    job.idempotency_key, job.request_digest = idempotency_key, digest
    attempt = _attempt(platform, job, resume=False)
    try:
        with platform.database.write() as session:
            if idempotency_key is not None and (twin := queries.job_by_key(session, idempotency_key)) is not None:
                return Created(_same(platform, session, twin, digest), fresh=False)
            if chosen.registered is not None and not queries.dataset_stands(session, chosen.registered, chosen.uri):
                raise vanished(chosen.registered)
            told = {"from": None, "to": State.PENDING}
            event = _event(platform, job, "state", State.PENDING, job.message or "", told)
            # Plain inserts: the session's own bookkeeping would double the time for which all other writers wait.
            connection = session.connection()
            for row in (job, attempt, event):
                connection.execute(insert(type(row)), _values(row))
    except IntegrityError:
        # Where several processes write, two requests with one key can both find nothing: the second one ends here.
        if idempotency_key is not None and (known := _known(platform, idempotency_key, digest)) is not None:
            return Created(known, fresh=False)
        raise
    return Created(views.newborn(job, attempt), fresh=True)


def start_job(platform: Platform, job_id: str) -> JobView:
    """Lets a job go that was created with start=false; one that may go already is left alone."""
    with platform.database.write() as session:
        job = queries.job_by_id(session, job_id)
        if job.state != State.PENDING:
            raise IllegalMove(
                f"job {job.id} is {job.state} and cannot be started",
                cure="try it again: /retry"
                if job.state in (State.FAILED, State.CANCELLED)
                else "only a pending job waits",
            )
        if not job.start:
            job.start, job.updated_at, job.message = True, platform.clock(), "waiting for the engine"
            session.add(_event(platform, job, "platform", "start_requested", "start asked for", {}))
        view = _told(platform, session, job)
    platform.wake.notify(job_id)
    return view


def cancel_job(platform: Platform, job_id: str) -> JobView:
    """Asks a job to end: at once where nothing runs yet, else its trainer saves and stops; asking twice is harmless."""
    with platform.database.write() as session:
        job = queries.job_by_id(session, job_id)
        now = platform.clock()
        if job.state == State.PENDING:
            move(session, job, State.CANCELLED, reason=Reason.USER, message="cancelled before it started", at=now)
            attempt = queries.attempt_of(session, job)
            # With a manifest it may be on its way to the engine this very moment: then the reconciler closes it.
            attempt.closed = attempt.manifest is None and attempt.submitted_at is None
        elif job.state in TERMINAL:
            raise IllegalMove(
                f"job {job.id} is {job.state}: it has ended and cannot be cancelled",
                cure="nothing is left to stop; remove it with DELETE, or `tiphys job delete`",
            )
        elif job.state != State.CANCELLING:
            message = "cancel asked for; the trainer saves and stops"
            move(session, job, State.CANCELLING, reason=Reason.USER, message=message, at=now)
        job.cancel_requested_at = job.cancel_requested_at or now
        view = _told(platform, session, job)
    platform.wake.notify(job_id)
    return view


def retry_job(platform: Platform, job_id: str, *, resume: bool = True) -> JobView:
    """Makes a new attempt of a failed or cancelled job, from its last checkpoint where `resume` is set."""
    with platform.database.write() as session:
        job = queries.job_by_id(session, job_id)
        if job.state not in (State.FAILED, State.CANCELLED):
            cure = {
                State.SUCCEEDED: "submit a new job to train again",
                State.PENDING: "it has not run yet; let it go with /start",
            }.get(State(job.state), "cancel it first, or wait for its end")
            raise IllegalMove(f"job {job.id} is {job.state} and cannot be retried", cure=cure)
        job.attempt += 1
        message = f"attempt {job.attempt}, " + (
            "from the last checkpoint if there is one" if resume else "from the beginning"
        )
        move(session, job, State.PENDING, reason=Reason.RETRIED, message=message, at=platform.clock())
        # Its dataset may have been repaired or registered anew since; the snapshot says whether it is still the same.
        registered = session.get(Dataset, job.dataset)
        job.dataset_uri = registered.uri if registered is not None else job.dataset_uri
        job.start, job.cancel_requested_at, job.last_heartbeat_at = True, None, None
        job.progress = job.epoch = job.metrics = job.final_metrics = None
        session.add(_attempt(platform, job, resume=resume))
        view = _told(platform, session, job)
    platform.wake.notify(job_id)
    return view


def delete_job(platform: Platform, job_id: str, *, with_checkpoints: bool = False) -> None:
    """Deletes an ended job's logs and records, and its checkpoints where told so.

    Raises:
        Conflict: the job has not ended, or its last attempt is still being put away.
    """
    with platform.database.read() as session:
        job = _deletable(session, job_id)
    # Files first: if this breaks off, the job is still there to be deleted again.
    shutil.rmtree(log_folder(platform.settings, job_id), ignore_errors=True)
    platform.storage.delete_prefix(logs_prefix(job_id))
    if with_checkpoints:
        platform.storage.delete_prefix(checkpoints_prefix(job.project, job_id))
    with platform.database.write() as session:
        session.delete(_deletable(session, job_id))
    platform.wake.notify(job_id)


def _deletable(session: Session, job_id: str) -> Job:
    job = queries.job_by_id(session, job_id)
    if job.state not in TERMINAL:
        raise Conflict(
            f"job {job.id} is {job.state} and cannot be deleted", cure=f"cancel it first: tiphys job cancel {job.id}"
        )
    if not all(attempt.closed for attempt in queries.attempts_of(session, job.id)):
        raise Conflict(f"the logs of job {job.id} are still being put away", cure="try again in a few seconds")
    return job


def _known(platform: Platform, key: str, digest: str) -> JobView | None:
    with platform.database.read() as session:
        job = queries.job_by_key(session, key)
        return None if job is None else _same(platform, session, job, digest)


def _same(platform: Platform, session: Session, job: Job, digest: str) -> JobView:
    if job.request_digest != digest:
        raise IdempotencyConflict(
            f"the Idempotency-Key was used for job {job.id} with another request",
            cure="send the first request again, or a new key",
            job_id=job.id,
        )
    return views.detail(session, job, now=platform.clock(), settings=platform.settings)


def _digest(asked: JobSpec, start: bool) -> str:
    # Of what was asked, not of what it was resolved to: a default that changes must not make a repeat another request.
    text = json.dumps([asked.to_mapping(), start], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _new_job(platform: Platform, spec: JobSpec, uri: str, *, start: bool) -> Job:
    now, job_id = platform.clock(), new_job_id()
    model = spec.model or spec.framework
    return Job(
        id=job_id,
        name=spec.name or f"{model[: NAME_LENGTH - len(job_id) - 1]}-{job_id}",
        project=spec.project,
        framework=spec.framework,
        model=model,
        task=spec.task or "",
        dataset=spec.dataset,
        dataset_uri=uri,
        spec=spec.to_mapping(),
        labels=dict(spec.labels),
        trace_id=new_trace_id(),
        attempt=1,
        start=start,
        state=State.PENDING,
        reason=Reason.USER,
        message="waiting for the engine" if start else "waiting for /start",
        created_at=now,
        updated_at=now,
        total_epochs=spec.hyperparameters.epochs,
    )


def _attempt(platform: Platform, job: Job, *, resume: bool) -> Attempt:
    name = workflow_name(job.id, job.attempt)
    return Attempt(
        job_id=job.id, number=job.attempt, workflow_name=name, resume=resume, closed=False, created_at=platform.clock()
    )


def _values(row: Base) -> dict[str, Any]:
    values = {column.key: getattr(row, column.key) for column in row.__mapper__.columns}
    return {name: value for name, value in values.items() if value is not None}


def _event(platform: Platform, job: Job, kind: str, event_type: str, message: str, data: dict[str, Any]) -> Event:
    return Event(
        job_id=job.id,
        attempt=job.attempt,
        kind=kind,
        level="info",
        event_type=event_type,
        message=message,
        data=data,
        created_at=platform.clock(),
    )


def _told(platform: Platform, session: Session, job: Job) -> JobView:
    session.flush()
    return views.detail(session, job, now=platform.clock(), settings=platform.settings)
