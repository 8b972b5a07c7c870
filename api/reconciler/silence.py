"""Notices trainers that fell silent: warns first, then stops the workflow, never for an absence of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select

from api.jobs.status import Reason, State
from api.models import Attempt, Heartbeat, Job
from api.reconciler.load import OpenAttempt
from api.reconciler.nodes import Node, tries_of
from api.reconciler.tools import Tools, note
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

    Silence begins at the last heartbeat or at `heard_since`, whichever is later: the moment from which on the train
    node was running and the API could have heard it. The node's own `startedAt` will not do: it counts from when the
    node was made, and it may have waited for a GPU since.
    """
    if running_train(nodes) is None or attempt.state is not State.RUNNING or attempt.stop_reason or not attempt.current:
        return None
    since = max(heard_since, attempt.last_heartbeat_at or heard_since)
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


def act(tools: Tools, attempt: OpenAttempt, found: Silence, *, now: datetime) -> bool:
    """Records a warning, or the decision to stop the workflow; returns whether it did.

    The decision stands in the record before the engine is told: a crash in between leaves it to be carried out.
    """
    with tools.database.write() as session:
        job = session.get(Job, attempt.job_id)
        row = session.get(Attempt, (attempt.job_id, attempt.number))
        if job is None or row is None or job.attempt != attempt.number or job.state != State.RUNNING:
            return False
        newest = select(Heartbeat.received_at).where(Heartbeat.job_id == job.id)
        heard = session.scalar(newest.order_by(Heartbeat.seq.desc()).limit(1))
        if any(moment is not None and moment > found.since for moment in (heard, job.last_heartbeat_at)):
            return False
        span = _words(found.lasted)
        if found.deed == "warn":
            row.silence_warned_at = now
            text = f"No heartbeat for {span} while training; the job fails after {_words(found.limit)} of silence."
            data = {"since": found.since.isoformat(), "limit_seconds": found.limit.total_seconds()}
            note(session, job.id, row.number, "silence", text, at=now, data=data)
        else:
            row.stop_reason = Reason.HEARTBEAT_TIMEOUT
            row.stop_message = f"No heartbeat for {span} while the train step was running"
            note(session, job.id, row.number, "silence", f"{row.stop_message}: stopping it.", at=now, level="error")
    return True


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (left, "s")) if n]
    return " ".join(parts[:2]) or "0 s"
