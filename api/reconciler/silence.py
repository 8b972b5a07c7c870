"""Notices trainers that fell silent: warns first, then stops the workflow, never for an absence of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from api.jobs.status import Reason, State
from api.models import Attempt, Job
from api.reconciler.causes import span
from api.reconciler.decide import stop
from api.reconciler.load import OpenAttempt
from api.reconciler.nodes import Node, tries_of
from api.reconciler.tools import Tools, note
from workflows.engine import Releasing
from workflows.quantities import Duration

DEFAULT_LIMIT = "30m"


@dataclass(frozen=True, slots=True)
class Silence:
    """How long nobody heard from a trainer, and what that calls for."""

    since: datetime
    lasted: timedelta
    limit: timedelta
    deed: Literal["warn", "fail"]


def silence(
    attempt: OpenAttempt, nodes: Mapping[str, Node], *, now: datetime, heard_since: datetime, warn_after: timedelta
) -> Silence | None:
    """Returns a silence that calls for something, None while all is well.

    Silence begins at `heard_since`, by the reconciler's own clock: when it last saw a new heartbeat or moving progress,
    and not before the train node was running and the API could have heard it. The node's own `startedAt` will not do:
    it counts from when the node was made, and it may have waited for a GPU since.
    """
    if running_train(nodes) is None or attempt.state is not State.RUNNING or attempt.stop_reason or not attempt.current:
        return None
    since = heard_since
    limit = timedelta(seconds=Duration(attempt.no_heartbeat or DEFAULT_LIMIT).seconds)
    lasted = now - since
    if lasted >= limit:
        return Silence(since, lasted, limit, "fail")
    warned = attempt.silence_warned_at is not None and attempt.silence_warned_at >= since
    if lasted >= min(warn_after, limit / 3) and not warned:
        return Silence(since, lasted, limit, "warn")
    return None


def running_train(nodes: Mapping[str, Node]) -> Node | None:
    """Returns the try of the train step that runs now, if one does."""
    return next((n for n in tries_of(nodes.values(), "train") if n.phase == "Running"), None)


def let_go(tools: Tools, attempt: OpenAttempt, found: Silence, train: Node, *, now: datetime) -> bool:
    """Lets go of a silent trainer whose machine is gone, for the engine to try it elsewhere; tells whether it was."""
    if not isinstance(tools.engine, Releasing) or not tools.engine.release(attempt.name, train.id):
        return False
    text = f"No heartbeat for {span(found.lasted)}, and the trainer's node is being taken away: it is tried again."
    with tools.database.write() as session:
        if session.get(Job, attempt.job_id) is not None:
            note(session, attempt.job_id, attempt.number, "node_lost", text, at=now, key=f"node_lost:{train.id}")
    return True


def act(tools: Tools, attempt: OpenAttempt, found: Silence, *, now: datetime) -> bool:
    """Records a warning, or the decision to stop the workflow; returns whether it did."""
    with tools.database.write() as session:
        job = session.get(Job, attempt.job_id)
        row = session.get(Attempt, (attempt.job_id, attempt.number))
        if job is None or row is None or job.attempt != attempt.number or job.state != State.RUNNING:
            return False
        if job.last_heartbeat_at != attempt.last_heartbeat_at:
            return False
        lasted = span(found.lasted)
        if found.deed == "warn":
            row.silence_warned_at = now
            text = f"No heartbeat for {lasted} while training; the job fails after {span(found.limit)} of silence."
            data = {"since": found.since.isoformat(), "limit_seconds": found.limit.total_seconds()}
            note(session, job.id, row.number, "silence", text, at=now, data=data)
        else:
            why = f"No heartbeat for {lasted} while the train step was running"
            return stop(session, job, row, Reason.HEARTBEAT_TIMEOUT, why, now=now, told_as="silence")
    return True
