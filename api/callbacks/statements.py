"""The statements of the hot path, compiled once: what SQLAlchemy costs a row would be half of a heartbeat's price."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Dialect, Executable, Text, bindparam, delete, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite

from api.models import Event, Heartbeat, Job

_ROW = (
    "job_id",
    "attempt",
    "epoch",
    "step",
    "total_epochs",
    "total_steps",
    "progress",
    "metrics",
    "extra",
    "received_at",
)
_KEY = ("job_id", "attempt", "epoch", "step")
_EVENT = ("job_id", "attempt", "kind", "level", "event_type", "message", "data", "key", "created_at")


class Many:
    """One statement for many rows, given to the driver as it is; values are encoded by `encoded` before."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]  # every executable we pass compiles
        self._sql: str = compiled.string
        self._pick: Callable[[Mapping[str, Any]], Any] = (
            itemgetter(*compiled.positiontup) if compiled.positional else dict
        )

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Runs it for each row; returns how many rows of the database it touched."""
        return connection.exec_driver_sql(self._sql, [self._pick(row) for row in rows]).rowcount


class Statements:
    """All of them, for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        beats, jobs = Heartbeat.__table__, Job.__table__
        self.text_json = dialect.name == "sqlite"
        new = sqlite.insert if self.text_json else postgresql.insert
        here = [beats.c[name] == bindparam(name) for name in _KEY]
        self.known = select(*(beats.c[name] for name in (*_ROW, "seq"))).where(*here)
        self.forget = delete(Heartbeat).where(beats.c.seq == bindparam("old_seq"))
        self.add = Many(new(Heartbeat).values(_values(_ROW)).on_conflict_do_nothing(), dialect)
        self.warn = Many(new(Event).values(_values(_EVENT)).on_conflict_do_nothing(), dialect)
        followed = ("last_heartbeat_at", "epoch", "total_epochs", "progress", "metrics")
        moved = update(Job).where(jobs.c.id == bindparam("job_id")).values({n: bindparam(f"to_{n}") for n in followed})
        self.follow = Many(moved, dialect)
        metrics = type_coerce(jobs.c.metrics, Text) if self.text_json else jobs.c.metrics
        columns = [jobs.c[n] for n in ("id", "attempt", "state", "trace_id", "epoch", "total_epochs", "progress")]
        self.jobs = select(*columns, metrics.label("metrics")).where(jobs.c.id.in_(bindparam("ids", expanding=True)))

    def moment(self, at: datetime) -> Any:
        """Returns a moment as the driver takes it."""
        naive = at.astimezone(UTC).replace(tzinfo=None)
        return naive.isoformat(" ", "microseconds") if self.text_json else naive

    def metrics_of(self, job: Any) -> dict[str, Any] | None:
        """Returns a job's metrics from a row of `jobs`."""
        told = job.metrics
        metrics: dict[str, Any] | None = msgspec.json.decode(told) if isinstance(told, str) else told
        return metrics


def encoded(value: Any) -> str | None:
    """Returns a JSON column's value as the driver takes it; None is SQL's NULL."""
    return None if value is None else msgspec.json.encode(value).decode()


def _values(names: Sequence[str]) -> dict[str, Any]:
    return {name: bindparam(name) for name in names}
