"""What the reconciler works with: settings, records, engine, storage, clock; and how it notes an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from api.db import Database
from api.jobs.files import Shelf
from api.models import Event
from api.settings import Settings
from workflows.engine import Engine


class LogShelf(Shelf, Protocol):
    """Where logs are kept."""

    def write_file(self, key: str, source: Path | BinaryIO) -> Any:
        """Stores a file whole under a key."""
        ...

    def delete(self, key: str) -> None:
        """Deletes one object; one that is not there is no error."""
        ...


def utc_now() -> datetime:
    """Returns this moment in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Tools:
    """One reconciler's surroundings; a test puts another thing in each place."""

    settings: Settings
    database: Database
    engine: Engine
    shelf: Callable[[], LogShelf]
    """Opens the storage when the first log is kept, not before: its client may be heavy."""
    api_answers: Callable[[], bool]
    """Asks the API whether it is there."""
    clock: Callable[[], datetime] = utc_now


def note(
    session: Session,
    job_id: str,
    attempt: int,
    event_type: str,
    message: str,
    *,
    at: datetime,
    kind: str = "platform",
    level: str = "warning",
    data: Mapping[str, Any] | None = None,
    key: str | None = None,
) -> bool:
    """Adds an event of an attempt, once where it has a key; returns whether it was new."""
    if key is not None:
        key = f"{attempt}:{key}"
        if session.scalar(select(Event.id).where(Event.job_id == job_id, Event.key == key)) is not None:
            return False
    session.add(
        Event(
            job_id=job_id,
            attempt=attempt,
            kind=kind,
            level=level,
            event_type=event_type,
            message=message,
            data=dict(data or {}),
            key=key,
            created_at=at,
        )
    )
    return True
