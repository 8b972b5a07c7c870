"""Loads what is not closed yet: the attempts to follow and the jobs to submit, as small frozen values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select, tuple_

from api.db import Database
from api.jobs.status import State
from api.models import Attempt, Job


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAttempt:
    """An attempt that is not closed, without its heavy columns."""

    job_id: str
    number: int
    name: str
    """The workflow's."""
    place: str | None = None
    """Where it was handed to."""
    status_digest: str | None = None
    """Of what was taken in of its workflow last."""
    state: State
    """The job's."""
    project: str | None
    current: bool
    """False where the job has gone on to a later attempt."""
    judged: bool
    """Whether it is said already how it ended."""
    submitted_at: datetime | None
    cancel_requested_at: datetime | None
    last_heartbeat_at: datetime | None
    silence_warned_at: datetime | None
    stop_reason: str | None
    stop_requested_at: datetime | None
    terminate_requested_at: datetime | None
    no_heartbeat: str | None
    pending_limit: str | None = None
    total_limit: str | None = None

    @property
    def submitted(self) -> bool:
        """Whether it was handed to the engine."""
        return self.submitted_at is not None

    @property
    def waits_for_submit(self) -> bool:
        """Whether the next thing to happen is its submission."""
        return self.current and self.state is State.PENDING

    @property
    def active(self) -> bool:
        """Whether it takes one of the places that jobs handed to the engine have."""
        return self.submitted and not self.judged


@dataclass(frozen=True, slots=True)
class PendingJob:
    """A job that waits to be handed to the engine."""

    job_id: str
    number: int
    project: str | None
    created_at: datetime


def open_attempts(database: Database) -> list[OpenAttempt]:
    """Returns every attempt that is not closed, but for those whose next step is their submission; one query.

    Ten thousand may wait for that: they are no concern of a look at what runs.
    """
    query = (
        select(
            Attempt.job_id,
            Attempt.number,
            Attempt.workflow_name,
            Attempt.place,
            Attempt.status_digest,
            Attempt.state,
            Attempt.submitted_at,
            Attempt.silence_warned_at,
            Attempt.stop_reason,
            Attempt.stop_requested_at,
            Attempt.terminate_requested_at,
            Job.state,
            Job.project,
            Job.attempt,
            Job.cancel_requested_at,
            Job.last_heartbeat_at,
            Job.spec["limits"]["no_heartbeat"].as_string(),
            Job.spec["limits"]["pending"].as_string(),
            Job.spec["limits"]["total"].as_string(),
        )
        .join(Job, Job.id == Attempt.job_id)
        .where(Attempt.closed.is_(False), or_(Job.state != State.PENDING.value, Job.attempt != Attempt.number))
    )
    with database.read() as session:
        rows = session.execute(query).all()
    return [
        OpenAttempt(
            job_id=row[0],
            number=row[1],
            name=row[2],
            place=row[3],
            status_digest=row[4],
            judged=row[5] is not None,
            submitted_at=row[6],
            silence_warned_at=row[7],
            stop_reason=row[8],
            stop_requested_at=row[9],
            terminate_requested_at=row[10],
            state=State(row[11]),
            project=row[12],
            current=row[13] == row[1],
            cancel_requested_at=row[14],
            last_heartbeat_at=row[15],
            no_heartbeat=row[16],
            pending_limit=row[17],
            total_limit=row[18],
        )
        for row in rows
    ]


def pending_jobs(database: Database, places: int, *, leaving_out: Collection[tuple[str, int]] = ()) -> list[PendingJob]:
    """Returns the pending jobs that may start, oldest first, at most `places` of each project."""
    turn = func.row_number().over(partition_by=Job.project, order_by=(Job.created_at, Job.id)).label("turn")
    waiting = select(Job.id, Job.attempt, Job.project, Job.created_at, turn)
    if leaving_out:
        waiting = waiting.where(tuple_(Job.id, Job.attempt).not_in(leaving_out))
    ready = waiting.where(Job.state == State.PENDING.value, Job.start.is_(True)).subquery()
    query = select(ready.c.id, ready.c.attempt, ready.c.project, ready.c.created_at)
    query = query.where(ready.c.turn <= places).order_by(ready.c.created_at, ready.c.id)
    with database.read() as session:
        return [PendingJob(*row) for row in session.execute(query)]


def in_turn(waiting: Iterable[PendingJob], active: Iterable[OpenAttempt]) -> list[PendingJob]:
    """Orders jobs so that the project with the fewest places comes next; within a project the oldest is first."""
    taken = Counter(attempt.project for attempt in active if attempt.active)
    turns: list[tuple[int, PendingJob]] = []
    for job in waiting:
        turns.append((taken[job.project], job))
        taken[job.project] += 1
    turns.sort(key=lambda turn: (turn[0], turn[1].created_at, turn[1].job_id))
    return [job for _, job in turns]
