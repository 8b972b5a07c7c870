"""Decides that a workflow shall be stopped, and why: in the record first, so that a crash loses no decision."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from api.jobs.status import Reason, State
from api.models import Attempt, Job
from api.reconciler.load import OpenAttempt
from api.reconciler.tools import Tools, note


def stop(
    session: Session, job: Job, row: Attempt, reason: Reason, why: str, *, now: datetime, told_as: str = "stopping"
) -> bool:
    """Records the decision for a job's current attempt, once; returns whether it did."""
    if row.stop_reason or job.attempt != row.number or job.state not in (State.QUEUED, State.RUNNING):
        return False
    row.stop_reason, row.stop_message = reason, why
    note(session, job.id, row.number, told_as, f"{why}: stopping it.", at=now, level="error")
    return True


def stop_attempt(tools: Tools, attempt: OpenAttempt, reason: Reason, why: str, *, now: datetime) -> bool:
    """Does the same in a transaction of its own."""
    with tools.database.write() as session:
        job = session.get(Job, attempt.job_id)
        row = session.get(Attempt, (attempt.job_id, attempt.number))
        return job is not None and row is not None and stop(session, job, row, reason, why, now=now)
