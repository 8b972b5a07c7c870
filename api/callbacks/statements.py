"""The statements of the hot path for any database, built once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import msgspec
from sqlalchemy import Connection, Dialect, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from api.models import Event, Heartbeat, Job
from api.postgres import without_nul

KEY = ("job_id", "attempt", "epoch", "step")
ROW = (*KEY, "total_epochs", "total_steps", "progress", "metrics", "extra", "received_at")
EVENT = ("job_id", "attempt", "kind", "level", "event_type", "message", "data", "key", "created_at")
FOLLOWED = ("last_heartbeat_at", "epoch", "total_epochs", "progress", "metrics")

Row = Mapping[str, Any]

_ENCODER = msgspec.json.Encoder()


class JobRow(NamedTuple):
    """What a heartbeat has to know of its job."""

    id: str
    attempt: int
    state: str
    trace_id: str
    epoch: int | None
    total_epochs: int | None
    progress: float | None
    metrics: dict[str, Any] | None


class Statements(Protocol):
    """What the store says to a database, in the transaction of a connection."""

    def jobs(self, connection: Connection, ids: Sequence[str]) -> dict[str, JobRow]:
        """Returns the jobs that there are, held until the transaction ends: their numbers are given in order."""
        ...

    def add(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Adds heartbeats whose key is new; returns how many were."""
        ...

    def follow(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Lets jobs follow their heartbeats; a row is `job_id` and the columns of `FOLLOWED`."""
        ...

    def warn(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Adds events whose key is new."""
        ...

    def known(self, connection: Connection, row: Row) -> dict[str, Any]:
        """Returns the stored heartbeat that has a row's key, with its `seq`."""
        ...

    def forget(self, connection: Connection, seq: int) -> None:
        """Removes one heartbeat."""
        ...


class CoreStatements:
    """In SQLAlchemy's words, for either database: what the faster ones below are compared with."""

    def __init__(self, dialect: Dialect) -> None:
        beats, jobs = Heartbeat.__table__, Job.__table__
        new = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
        # In the order of their ids, so that no two writers wait for each other.
        self._jobs = (
            select(*(jobs.c[name] for name in JobRow._fields))
            .where(jobs.c.id.in_(bindparam("ids", expanding=True)))
            .order_by(jobs.c.id)
            .with_for_update(key_share=True)
        )
        self._add = new(Heartbeat).on_conflict_do_nothing()
        self._warn = new(Event).on_conflict_do_nothing()
        self._follow = (
            update(Job)
            .where(jobs.c.id == bindparam("job_id"))
            .values({name: bindparam(f"to_{name}") for name in FOLLOWED})
        )
        self._known = select(beats).where(*(beats.c[name] == bindparam(name) for name in KEY))
        self._forget = delete(Heartbeat).where(beats.c.seq == bindparam("old"))

    def jobs(self, connection: Connection, ids: Sequence[str]) -> dict[str, JobRow]:
        return {row.id: JobRow(*row) for row in connection.execute(self._jobs, {"ids": list(ids)})}

    def add(self, connection: Connection, rows: Sequence[Row]) -> int:
        return connection.execute(self._add, [dict(row) for row in rows]).rowcount

    def follow(self, connection: Connection, rows: Sequence[Row]) -> None:
        named = [{"job_id": row["job_id"]} | {f"to_{name}": row[name] for name in FOLLOWED} for row in rows]
        connection.execute(self._follow, named)

    def warn(self, connection: Connection, rows: Sequence[Row]) -> None:
        connection.execute(self._warn, [dict(row) for row in rows])

    def known(self, connection: Connection, row: Row) -> dict[str, Any]:
        return dict(connection.execute(self._known, {name: row[name] for name in KEY}).mappings().one())

    def forget(self, connection: Connection, seq: int) -> None:
        connection.execute(self._forget, {"old": seq})


class SqliteStatements(CoreStatements):
    """In SQLite's own: a statement for many rows is one step, and each step gives up the interpreter's lock once.

    Row by row the writer would stand in line for that lock a hundred times a transaction, behind the event loop.
    """

    _CHUNK = 1000  # times the columns of a heartbeat: below the 32 766 variables a statement may have

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        columns = ", ".join(JobRow._fields).replace("metrics", "json(metrics)")  # as JSON, not as a text in JSON
        self._jobs_sql = (
            f"SELECT json_group_array(json_array({columns})) FROM jobs WHERE id IN (SELECT value FROM json_each(?))"
        )
        self._decode = msgspec.json.Decoder(list[JobRow])
        self._follow_sql = "UPDATE jobs SET {} FROM v WHERE jobs.id = v.job_id".format(
            ", ".join(f"{name} = v.{name}" for name in FOLLOWED)
        )

    def jobs(self, connection: Connection, ids: Sequence[str]) -> dict[str, JobRow]:
        told = connection.exec_driver_sql(self._jobs_sql, (encoded(list(ids)),)).scalar_one()
        return {row.id: row for row in self._decode.decode(told)}

    def add(self, connection: Connection, rows: Sequence[Row]) -> int:
        return self._insert(connection, "heartbeats", ROW, rows)

    def warn(self, connection: Connection, rows: Sequence[Row]) -> None:
        self._insert(connection, "events", EVENT, rows)

    def follow(self, connection: Connection, rows: Sequence[Row]) -> None:
        names = ("job_id", *FOLLOWED)
        for part in self._chunks(rows):
            sql = f"WITH v({', '.join(names)}) AS (VALUES {_places(names, part)}) {self._follow_sql}"
            connection.exec_driver_sql(sql, tuple(_values(names, part)))

    def _insert(self, connection: Connection, table: str, names: Sequence[str], rows: Sequence[Row]) -> int:
        count = 0
        for part in self._chunks(rows):
            sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES {_places(names, part)} ON CONFLICT DO NOTHING"
            count += connection.exec_driver_sql(sql, tuple(_values(names, part))).rowcount
        return count

    def _chunks(self, rows: Sequence[Row]) -> list[Sequence[Row]]:
        return [rows[start : start + self._CHUNK] for start in range(0, len(rows), self._CHUNK)]


class PostgresStatements(CoreStatements):
    """In PostgreSQL's own: a statement takes all rows as one parameter, so that it is always the same one, prepared."""

    def __init__(self, dialect: Dialect) -> None:
        super().__init__(dialect)
        self._add_sql = self._insert_sql("heartbeats", ROW)
        self._warn_sql = self._insert_sql("events", EVENT)
        moved = ", ".join(f"{name} = {_read(name)}" for name in FOLLOWED)
        self._follow_sql = f"UPDATE jobs SET {moved} FROM {_recordset(('job_id', *FOLLOWED))} WHERE jobs.id = v.job_id"

    def add(self, connection: Connection, rows: Sequence[Row]) -> int:
        return connection.exec_driver_sql(self._add_sql, (_as_parameter(rows),)).rowcount

    def warn(self, connection: Connection, rows: Sequence[Row]) -> None:
        connection.exec_driver_sql(self._warn_sql, (_as_parameter(rows),))

    def follow(self, connection: Connection, rows: Sequence[Row]) -> None:
        connection.exec_driver_sql(self._follow_sql, (_as_parameter(rows),))

    @staticmethod
    def _insert_sql(table: str, names: Sequence[str]) -> str:
        # In the order in which the rows were given: so are their numbers.
        given = f"SELECT {', '.join(map(_read, names))} FROM {_recordset(names)}"
        return f"INSERT INTO {table} ({', '.join(names)}) {given} ON CONFLICT DO NOTHING"


def statements_for(dialect: Dialect) -> Statements:
    """Returns the statements that suit a database."""
    return SqliteStatements(dialect) if dialect.name == "sqlite" else PostgresStatements(dialect)


def encoded(value: Any) -> str:
    """Returns a value as JSON text."""
    return _ENCODER.encode(value).decode()


_TYPES = dict.fromkeys(("job_id", "kind", "level", "event_type", "message", "key"), "text")
_TYPES |= dict.fromkeys(("metrics", "extra", "data"), "json")
_TYPES |= dict.fromkeys(("received_at", "created_at", "last_heartbeat_at"), "timestamptz")
_TYPES |= {"progress": "float8"}


def _recordset(names: Sequence[str]) -> str:
    columns = ", ".join(f"{name} {_TYPES.get(name, 'int8')}" for name in names)
    return f"json_to_recordset(%s::json) AS v({columns})"


def _read(name: str) -> str:
    return f"v.{name} AT TIME ZONE 'UTC'" if name.endswith("_at") else f"v.{name}"


def _as_parameter(rows: Sequence[Row]) -> str:
    return without_nul(_ENCODER.encode(rows).decode())


def _places(names: Sequence[str], rows: Sequence[Row]) -> str:
    one = f"({', '.join('?' * len(names))})"
    return ", ".join([one] * len(rows))


def _values(names: Sequence[str], rows: Sequence[Row]) -> list[Any]:
    in_order = itemgetter(*names)
    flat = [value for row in rows for value in in_order(row)]
    return [_TEXTS[type(value)](value) if type(value) in _TEXTS else value for value in flat]


@lru_cache(maxsize=1024)  # a heartbeat's own is told twice: in its row and in its job's
def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:26]


# As SQLAlchemy keeps them: JSON is text, a moment is text in UTC without its offset; SQLite takes all else as it is.
_TEXTS: Mapping[type, Callable[[Any], str]] = {dict: encoded, list: encoded, datetime: _moment}
