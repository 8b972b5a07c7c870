"""Follows one attempt: stores what the engine shows, tells it as events, moves the job, says how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.jobs.status import TERMINAL, Reason, State, move
from api.models import Attempt, Checkpoint, Event, Job
from api.reconciler.causes import with_dataset
from api.reconciler.decide import stop
from api.reconciler.last_words import last_words
from api.reconciler.load import OpenAttempt
from api.reconciler.nodes import Node, nodes_of, tries_of, workflow_ended
from api.reconciler.tell import RUNS_AGAIN, tell
from api.reconciler.tools import Tools, note
from api.reconciler.verdict import CLOCKS_APART, Ending, verdict
from workflows.budgets import PREEMPTED_TRIES


def take_in(tools: Tools, attempt: OpenAttempt, workflow: Mapping[str, Any], *, digest: str, now: datetime) -> None:
    """Stores a workflow's status with everything that follows from it, in one transaction.

    Events come from comparing with the status stored before: taking in the same status twice adds nothing.
    """
    status = dict(workflow.get("status") or {})
    words = last_words(tools, attempt, status)
    with tools.database.write() as session:
        job = session.get(Job, attempt.job_id)
        row = session.get(Attempt, (attempt.job_id, attempt.number))
        if job is None or row is None or row.closed:
            return
        told = tell(row.workflow_status, status)
        row.workflow_status, row.status_digest = status, digest
        row.submitted_at = row.submitted_at or now
        row.place = row.place or tools.engine.place  # records of before did not say it
        for event in told:
            note(
                session,
                job.id,
                row.number,
                event.event_type,
                event.message,
                at=now,
                kind="step",
                level=event.level,
                data=event.data,
                key=event.once,
            )
        if any(event.again for event in told):
            _count_again(session, job, row, now=now)
        nodes = nodes_of(status)
        if any(event.again and event.data.get("step") == "train" for event in told) or _is_of_earlier_try(row, nodes):
            _forget_done(job, row)
        started = any(node.leaf and node.started for node in nodes.values())
        if started and row.started_at is None:
            row.started_at = now
        if started and row.state is None and job.attempt == row.number and job.state == State.QUEUED:
            move(session, job, State.RUNNING, reason=Reason.STARTED, message="The first step has started.", at=now)
        if workflow_ended(status) and row.state is None:
            shutdown = (workflow.get("spec") or {}).get("shutdown")
            _conclude(session, job, row, status=status, shutdown=shutdown, words=words, now=now)


def _is_of_earlier_try(row: Attempt, nodes: Mapping[str, Node]) -> bool:
    tries = tries_of(nodes.values(), "train")
    if not tries or not tries[-1].index or tries[-1].started_at is None or row.done_at is None:
        return False
    return row.done_at < tries[-1].started_at - CLOCKS_APART


def _forget_done(job: Job, row: Attempt) -> None:
    """Forgets how the trainer said that it ended: it runs again, and has another word to say. A success stays one."""
    if row.state is not None or row.done_status in (None, State.SUCCEEDED.value):
        return
    row.done_status = row.done = row.done_at = None
    if job.attempt == row.number:
        job.final_metrics = None


def _count_again(session: Session, job: Job, row: Attempt, *, now: datetime) -> None:
    """Counts what ran again below the same id as preempted: the engine's own count does not see it."""
    mine = (Event.job_id == row.job_id, Event.attempt == row.number, Event.event_type == "step_retrying")
    times = session.scalar(select(func.count(Event.id)).where(*mine, Event.message.like(f"%{RUNS_AGAIN}%"))) or 0
    if times > PREEMPTED_TRIES:
        stop(session, job, row, Reason.PREEMPTED, f"A pod of this job vanished {times} times", now=now)


def vanished(tools: Tools, attempt: OpenAttempt, *, now: datetime) -> None:
    """Says how an attempt ended whose workflow is gone without our doing; one that never ran is closed at once."""
    with tools.database.write() as session:
        job = session.get(Job, attempt.job_id)
        row = session.get(Attempt, (attempt.job_id, attempt.number))
        if job is None or row is None or row.closed:
            return
        if row.submitted_at is None:
            row.closed = True
        elif row.state is None:
            _conclude(session, job, row, status=None, shutdown=None, now=now)


def _conclude(
    session: Session,
    job: Job,
    row: Attempt,
    *,
    status: Mapping[str, Any] | None,
    shutdown: str | None,
    now: datetime,
    words: str = "",
) -> None:
    metric = job.spec.get("primary_metric") or {}
    ending = Ending(
        status=status,
        manifest=row.manifest,
        primary_metric=metric.get("name") if isinstance(metric, Mapping) else None,
        shutdown=shutdown,
        cancelling=job.state == State.CANCELLING,
        done={"status": row.done_status, **(row.done or {})} if row.done_status or row.done else None,
        done_at=row.done_at,
        stop_reason=row.stop_reason,
        stop_message=row.stop_message,
        checkpoints=_checkpoints(session, row),
        epoch=job.epoch,
        total_epochs=job.total_epochs,
        waited_for=_waited_for(session, row),
        last_words=words,
    )
    found = verdict(ending)
    message = with_dataset(found.message, job.dataset)
    row.finished_at = now
    if job.attempt == row.number and job.state not in TERMINAL:
        if found.state is State.SUCCEEDED:
            job.progress = 100.0
            job.final_metrics = job.final_metrics or (row.done or {}).get("final_metrics")
        move(session, job, found.state, reason=found.reason, message=message, at=now)
    else:
        row.state, row.reason, row.message = found.state, found.reason, message
    for text in found.warnings:
        note(session, job.id, row.number, "after_the_end", text, at=now)


def _checkpoints(session: Session, row: Attempt) -> int:
    # A resumed attempt may end without a better or later checkpoint than the one it began with.
    kept = select(func.count(Checkpoint.id)).where(Checkpoint.job_id == row.job_id)
    return session.scalar(kept if row.resume else kept.where(Checkpoint.attempt == row.number)) or 0


def _waited_for(session: Session, row: Attempt) -> str | None:
    waits = select(Event.data).where(Event.job_id == row.job_id, Event.attempt == row.number, Event.kind == "step")
    newest = waits.order_by(Event.id.desc()).limit(8)
    for kind, data in session.execute(newest.with_only_columns(Event.event_type, Event.data)):
        if kind == "step_started":
            return None
        if kind == "step_waiting":
            return str(data.get("message") or "") or None
    return None
