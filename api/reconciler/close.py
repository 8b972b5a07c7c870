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
        bring_all(tools.engine, tools.settings, attempt, nodes)
        shelve(tools.shelf(), tools.settings, attempt)
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
    ended = [(at or now, name) for name, (closed, at) in rows.items() if closed]
    ended.sort(reverse=True)
    gone = [name for place, (at, name) in enumerate(ended) if place >= KEEP_NEWEST or now - at > KEEP_FOR]
    # A cluster may be shared with another platform: only the engine of this very home holds no strangers.
    if tools.settings.engine == "local":
        gone += [name for name in ours if name not in rows]
    for name in gone:
        tools.engine.delete(name)
    return gone
