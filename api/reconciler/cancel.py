"""Brings a workflow to its end that shall not go on: asked first, then stopped, then terminated, at last removed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from api.jobs.status import State
from api.models import Attempt
from api.reconciler.load import OpenAttempt
from api.reconciler.nodes import EXIT_HANDLER, Node, tries_of
from api.reconciler.tools import Tools

REMOVE_AFTER = timedelta(minutes=10)
"""How long an engine may take to terminate until the workflow is removed: a cancel always ends."""

EXIT_GRACE = timedelta(minutes=3)
"""How long the exit handler may take once all else has ended: its pod has to find a node and to start first."""

EXIT_LIMIT = timedelta(hours=2)
"""After which an exit handler that waits or hangs is ended; by itself it tries for about an hour."""

Deed = Literal["stop", "terminate", "delete"]


def shall_end(attempt: OpenAttempt) -> bool:
    """Tells whether a workflow that still runs should not: cancelled, silent, or of a job that has ended or gone on."""
    unwanted = attempt.judged or not attempt.current or attempt.stop_reason is not None
    return unwanted or attempt.state is State.CANCELLING


def next_deed(attempt: OpenAttempt, nodes: Mapping[str, Node], *, now: datetime, grace: timedelta) -> Deed | None:
    """Returns what to do now to end a workflow; None while what was done already has its time."""
    if attempt.terminate_requested_at is not None:
        return "delete" if now >= attempt.terminate_requested_at + REMOVE_AFTER else None
    if attempt.stop_requested_at is not None:
        if now < attempt.stop_requested_at + (max(grace, EXIT_GRACE) if _only_tells(nodes) else grace):
            return None
        # One that waits for a lock hears neither; nothing of it has run, and nothing is lost.
        return "terminate" if nodes else "delete"
    asked = attempt.cancel_requested_at
    listening = attempt.state is State.CANCELLING and attempt.current and not attempt.stop_reason
    # A trainer hears of a cancel at its next heartbeat and saves; a step without heartbeats hears nothing.
    if listening and asked is not None and now < asked + grace and _trains(attempt, nodes):
        return None
    return "stop"


def bring_to_end(tools: Tools, attempt: OpenAttempt, nodes: Mapping[str, Node], *, now: datetime) -> bool:
    """Does the next deed, if one is due; returns whether it did."""
    deed = next_deed(attempt, nodes, now=now, grace=timedelta(seconds=tools.settings.cancel_grace))
    if deed is None:
        return False
    # The engine first: a crash before the record repeats a call that changes nothing the second time.
    if deed == "stop":
        tools.engine.stop(attempt.name)
    elif deed == "terminate":
        tools.engine.terminate(attempt.name)
    else:
        tools.engine.delete(attempt.name)
    with tools.database.write() as session:
        row = session.get(Attempt, (attempt.job_id, attempt.number))
        if row is not None and deed == "stop":
            row.stop_requested_at = row.stop_requested_at or now
        elif row is not None and deed == "terminate":
            row.terminate_requested_at = row.terminate_requested_at or now
    return True


def _trains(attempt: OpenAttempt, nodes: Mapping[str, Node]) -> bool:
    """Tells whether a trainer runs: it may be heard before an engine that looks every ten seconds shows it running."""
    heard = attempt.last_heartbeat_at
    return any(
        node.phase == "Running"
        or (node.phase == "Pending" and heard is not None and node.started_at is not None and heard > node.started_at)
        for node in tries_of(nodes.values(), "train")
    )


def _only_tells(nodes: Mapping[str, Node]) -> bool:
    """Tells whether nothing but the exit handler is left to end."""
    left = {node.step for node in nodes.values() if node.leaf and not node.ended}
    return bool(nodes) and left <= {EXIT_HANDLER}


def end_exit_handler(tools: Tools, attempt: OpenAttempt, nodes: Mapping[str, Node], *, now: datetime) -> None:
    """Ends a workflow of which only the exit handler is left, far beyond its time: the record waits for its end."""
    ends = [node.finished_at for node in nodes.values() if node.leaf and node.step != EXIT_HANDLER and node.finished_at]
    if not _only_tells(nodes) or not ends or attempt.terminate_requested_at or now - max(ends) < EXIT_LIMIT:
        return
    tools.engine.terminate(attempt.name)
    with tools.database.write() as session:
        row = session.get(Attempt, (attempt.job_id, attempt.number))
        if row is not None:
            row.terminate_requested_at = row.terminate_requested_at or now
