"""Closes attempts whose workflow has ended: logs kept, then marked; later the engine may forget the workflow."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select

from api.models import Attempt
from api.reconciler.load import OpenAttempt
from api.reconciler.logs import bring_all, shelve
from api.reconciler.nodes import Node
from api.reconciler.tools import Tools, note

KEEP_NEWEST = 20
"""Ended workflows that the engine keeps, so that their workspaces can be looked at."""
KEEP_FOR = timedelta(days=1)
_OURS = re.compile(r"train-([a-z0-9]{8})-(\d+)")


def close(tools: Tools, attempt: OpenAttempt, nodes: Iterable[Node], *, now: datetime, give_up: bool = False) -> None:
    """Keeps an ended attempt's logs and marks it closed.

    With `give_up` it is closed even where the logs cannot be kept in storage; that is told as a warning.
    """
    problem = ""
    try:
        bring_all(tools, attempt, nodes)
        shelve(tools, attempt)
    except Exception as error:
        if not give_up:
            raise
        problem = str(error)
    with tools.database.write() as session:
        row = session.get(Attempt, (attempt.job_id, attempt.number))
        if row is None:
            return
        row.closed = True
        if problem:
            text = f"The logs could not be kept in storage ({problem}); this machine still has what it brought."
            note(session, attempt.job_id, attempt.number, "logs_not_kept", text, at=now)


def sweep(tools: Tools, *, now: datetime) -> list[str]:
    """Lets the engine forget workflows that ended long ago or whose job was deleted; returns their names."""
    ours = [name for name in tools.engine.names() if _OURS.fullmatch(name)]
    query = select(Attempt.workflow_name, Attempt.closed, Attempt.finished_at)
    with tools.database.read() as session:
        rows = {
            name: (closed, at) for name, closed, at in session.execute(query.where(Attempt.workflow_name.in_(ours)))
        }
    local = tools.settings.engine == "local"
    live = set(tools.engine.names(live=True))
    for name in live & {name for name, (closed, _) in rows.items() if closed}:
        _end_again(tools, name, now=now)
    ended = [(at or now, name) for name, (closed, at) in rows.items() if closed and name not in live]
    ended.sort(reverse=True)
    # Their workspaces fill this machine's disk; a cluster has removed them with the workflow's end.
    many = KEEP_NEWEST if local else len(ended)
    gone = [name for place, (at, name) in enumerate(ended) if place >= many or now - at > KEEP_FOR]
    # A cluster may be shared with another platform: only the engine of this very home holds no strangers.
    if local:
        gone += [name for name in ours if name not in rows]
    for name in gone:
        tools.engine.delete(name)
    return gone


def _end_again(tools: Tools, name: str, *, now: datetime) -> None:
    """Stops a workflow that somebody started again in the engine after its attempt was closed.

    Nobody follows it, and a retry of the job would train beside it into the same checkpoints.
    """
    tools.engine.stop(name)
    text = (
        "The workflow was started again in the engine, not through Tiphys, after its end was recorded: it is stopped."
    )
    with tools.database.write() as session:
        row = session.scalars(select(Attempt).where(Attempt.workflow_name == name)).one_or_none()
        if row is not None:
            cure = f"Cure: retry the job (tiphys job retry {row.job_id})."
            note(session, row.job_id, row.number, "started_again", f"{text} {cure}", at=now, key="started_again")
