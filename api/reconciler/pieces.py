"""Keeps growing logs in storage where other processes read them: the one who takes over goes on from there."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from api.errors import TiphysError
from api.jobs.files import InPieces, all_kept, is_piece, kept_logs, piece_name
from api.reconciler.load import OpenAttempt
from api.reconciler.tools import Tools

log = logging.getLogger("tiphys.reconciler")

PIECE_BYTES = 1 << 20
"""From this size on a piece is left alone, and the next one begins: what grows is sent again each time."""
EVERY_SECONDS = 4.0
"""How often a log that grows is kept."""


@dataclass(frozen=True)
class Mark:
    """How far a log is kept: the last piece begins at `start`, and all before `end` is there."""

    start: int = 0
    end: int = 0
    at: float = 0.0
    """When that was tried, in seconds since the epoch."""

    @classmethod
    def of(cls, path: Path) -> Mark:
        """Reads the mark that lies beside a log."""
        try:
            return cls(**json.loads(_beside(path).read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return cls()

    def put(self, path: Path) -> None:
        """Writes it there."""
        _beside(path).write_text(json.dumps(asdict(self)))


def shelved(tools: Tools, attempt: OpenAttempt, path: Path) -> bool:
    """Keeps what a log has gained, if it is time for it; returns whether all of it is kept."""
    size = path.stat().st_size if path.exists() else 0
    mark, now = Mark.of(path), tools.clock().timestamp()
    if size <= mark.end:
        return True
    if now - mark.at < EVERY_SECONDS and size - mark.start < PIECE_BYTES:
        return False
    prefix = kept_logs(attempt.job_id, attempt.number)
    try:
        shelf = tools.shelf()
        with path.open("rb") as file:
            while mark.end < size:
                file.seek(mark.start)
                content = file.read(PIECE_BYTES)
                shelf.write_file(prefix + piece_name(path.name, mark.start), io.BytesIO(content))
                end = mark.start + len(content)
                mark = Mark(end if len(content) == PIECE_BYTES else mark.start, end, now)
                mark.put(path)
    except (TiphysError, OSError) as error:
        # It is brought on all the same, and kept when storage is there again.
        log.warning("job %s: what %s has gained is not in storage yet: %s", attempt.job_id, path.name, error)
        Mark(mark.start, mark.end, now).put(path)
        return False
    return True


def restore(tools: Tools, attempt: OpenAttempt, path: Path) -> None:
    """Begins a log with what another one has kept of it."""
    found = next((f for f in all_kept(tools.shelf(), attempt.job_id, attempt.number) if f.name == path.name), None)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        for chunk in found.read(0, found.size()) if found is not None else ():
            file.write(chunk)
        size = file.tell()
    start = (
        max((begin for begin, _ in found.pieces if begin <= size), default=0) if isinstance(found, InPieces) else size
    )
    Mark(start if size < start + PIECE_BYTES else size, size).put(path)
    part.replace(path)


def left_behind(tools: Tools, attempt: OpenAttempt, folder: Path) -> list[str]:
    """Fetches the logs of which nothing but pieces is left, not even a node; returns the keys of all pieces."""
    shelf, prefix = tools.shelf(), kept_logs(attempt.job_id, attempt.number)
    for found in all_kept(shelf, attempt.job_id, attempt.number):
        if isinstance(found, InPieces) and not (folder / found.name).exists():
            restore(tools, attempt, folder / found.name)
    return [prefix + found.name for found in shelf.list(prefix) if is_piece(found.name)]


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.kept")
