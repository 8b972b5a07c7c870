"""Brings the logs of running steps home, piece by piece, and shelves them in storage when an attempt closes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from api.jobs.files import kept_logs, log_folder
from api.reconciler.load import OpenAttempt
from api.reconciler.nodes import Node
from api.reconciler.tools import LogShelf
from api.settings import Settings
from workflows.engine import Engine

PIECES_PER_LOOK = 4
"""So that one trainer that prints without end does not hold up the others."""
LIMIT_BYTES = 256 << 20
"""The most that is kept of one step's log."""


def log_name(node: Node) -> str:
    """Returns a node's log file: `train.log`, or `train.0.log` where the step is retried."""
    step = re.sub(r"[^A-Za-z0-9._-]", "_", node.step)
    return f"{step}.log" if node.index is None else f"{step}.{node.index}.log"


def bring(
    engine: Engine, settings: Settings, attempt: OpenAttempt, node: Node, *, pieces: int | None = PIECES_PER_LOOK
) -> bool:
    """Appends what a node's log has gained, at most `pieces` pieces; returns whether there is no more for now.

    The file's own size is the offset: what was written before a crash is not asked for again.
    """
    path = log_folder(settings, attempt.job_id, attempt.number) / log_name(node)
    offset = path.stat().st_size if path.exists() else 0
    while pieces is None or pieces > 0:
        if offset >= LIMIT_BYTES:
            return True
        piece = engine.logs(attempt.name, node.id, offset)
        if not piece:
            return True
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(piece)
        offset += len(piece)
        pieces = None if pieces is None else pieces - 1
    return False


def has_log(node: Node) -> bool:
    """Tells whether a node may have written anything: it runs a process that has begun or ended."""
    return node.leaf and (node.started or node.ended)


def bring_all(engine: Engine, settings: Settings, attempt: OpenAttempt, nodes: Iterable[Node]) -> None:
    """Brings everything that the engine still has of an ended attempt."""
    for node in nodes:
        if has_log(node):
            bring(engine, settings, attempt, node, pieces=None)


def shelve(shelf: LogShelf, settings: Settings, attempt: OpenAttempt) -> None:
    """Keeps an attempt's logs in storage, whole files under the job's log prefix."""
    folder = log_folder(settings, attempt.job_id, attempt.number)
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.log")):
        shelf.write_file(kept_logs(attempt.job_id, attempt.number) + path.name, path)
