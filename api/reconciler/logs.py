"""Brings the logs of running steps home, piece by piece, and keeps them in storage: whole when an attempt closes."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable

from api.errors import TiphysError
from api.jobs.files import kept_logs, log_folder
from api.reconciler import pieces
from api.reconciler.load import OpenAttempt
from api.reconciler.nodes import Node
from api.reconciler.tools import Tools
from api.settings import Settings

log = logging.getLogger("tiphys.reconciler")

PIECES_PER_LOOK = 4
"""So that one trainer that prints without end does not hold up the others."""
LIMIT_BYTES = 256 << 20
"""The most that is kept of one step's log."""


def log_name(node: Node) -> str:
    """Returns a node's log file: `train.log`, or `train.0.log` where the step is retried."""
    step = re.sub(r"[^A-Za-z0-9._-]", "_", node.step)
    return f"{step}.log" if node.index is None else f"{step}.{node.index}.log"


def bring(tools: Tools, attempt: OpenAttempt, node: Node, *, most: int | None = PIECES_PER_LOOK) -> bool:
    """Appends what a node's log has gained, at most `most` pieces; returns whether there is no more for now.

    The file's own size is the offset: what was written before a crash is not asked for again. Where other processes
    read it, too, what it has gained goes to storage every few seconds.
    """
    path = log_folder(tools.settings, attempt.job_id, attempt.number) / log_name(node)
    shared = tools.settings.shared
    if shared and not path.exists():
        try:
            pieces.restore(tools, attempt, path)
        except (TiphysError, OSError) as error:
            if most is None:
                raise
            log.warning("job %s: %s cannot be fetched from storage: %s", attempt.job_id, path.name, error)
            return False
    offset = path.stat().st_size if path.exists() else 0
    whole = False
    while not whole and (most is None or most > 0):
        piece = tools.engine.logs(attempt.name, node.id, offset) if offset < LIMIT_BYTES else b""
        whole = not piece
        if piece:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(piece)
            offset += len(piece)
            most = None if most is None else most - 1
    # At the end it is kept whole.
    kept = not shared or most is None or pieces.shelved(tools, attempt, path)
    return whole and kept


def has_log(node: Node) -> bool:
    """Tells whether a node may have written anything: it runs a process that has begun or ended."""
    return node.leaf and (node.started or node.ended)


def bring_all(tools: Tools, attempt: OpenAttempt, nodes: Iterable[Node]) -> None:
    """Brings everything that the engine still has of an ended attempt."""
    for node in nodes:
        if has_log(node):
            bring(tools, attempt, node, most=None)


def shelve(tools: Tools, attempt: OpenAttempt) -> None:
    """Keeps an attempt's logs in storage, whole files under the job's log prefix; the pieces they grew in go."""
    shelf, settings = tools.shelf(), tools.settings
    folder = log_folder(settings, attempt.job_id, attempt.number)
    left = pieces.left_behind(tools, attempt, folder) if settings.shared else []
    if folder.is_dir():
        for path in sorted(folder.glob("*.log")):
            if path.stat().st_size or not settings.shared:
                shelf.write_file(kept_logs(attempt.job_id, attempt.number) + path.name, path)
    for key in left:
        shelf.delete(key)
    if settings.shared:
        shutil.rmtree(folder, ignore_errors=True)  # everybody reads it from storage


def forget(settings: Settings) -> None:
    """Removes what an earlier term has left at home: another one may have gone on with it since, in storage."""
    for folder in (settings.resolved_home() / "logs").glob("job-*"):
        shutil.rmtree(folder, ignore_errors=True)
