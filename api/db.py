"""The database, SQLite or PostgreSQL: engine, sessions that write in turn, migrations up to head."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session

from api import postgres
from api.locks import HoldingSession

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECTIONS = 20
"""The most that one process opens to PostgreSQL."""
_MIGRATING = 0x7E1975
"""Key of the lock that lets one of several processes migrate."""


class Database:
    """One database and the two ways to use it: `read()` and `write()`."""

    def __init__(
        self, url: str, *, connections: int = CONNECTIONS, idle_seconds: float = postgres.IDLE_SECONDS
    ) -> None:
        """Raises DatabaseUnusable where the URL cannot be understood, or the driver is missing.

        A transaction that lies idle for `idle_seconds` is ended by PostgreSQL.
        """
        self.url = url
        known = postgres.understood(url)
        self.sqlite = known.get_backend_name() == "sqlite"
        if self.sqlite:
            self.engine = _sqlite(known)
        else:
            self.engine = postgres.open_engine(known, connections=connections, idle_seconds=idle_seconds)
        self._closed = False
        event.listen(self.engine, "checkin", self._end_late)
        # SQLite lets one write at a time: waiting in here is fair and cheap, its own busy loop is neither.
        self.write_lock = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session that is rolled back at the end."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Yield a session in one transaction: committed at the edge, rolled back on any error."""
        kind = Session if self.sqlite else HoldingSession
        with self._turn(), kind(self.engine, expire_on_commit=False) as session:
            if self.sqlite:
                # Takes the write lock at once: a read that later turns into a write would fail as busy.
                session.connection().exec_driver_sql("BEGIN IMMEDIATE")
            yield session
            session.commit()

    @contextmanager
    def write_connection(self) -> Iterator[Connection]:
        """Yield a bare connection in one transaction: for bulk statements."""
        with self._turn(), self.engine.connect() as connection:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
            connection.commit()

    def migrate(self) -> None:
        """Bring the schema to its newest version."""
        # Loaded here: the reconciler never migrates, and Alembic is 12 MB.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.connect() as connection:
            try:
                if self.sqlite:
                    # A table that is rebuilt is dropped first: with keys enforced, its rows' children would go with it.
                    connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
                    # All of it or nothing: a start that is killed half-way must not leave tables without a version.
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    # Several replicas may start at the same moment: the others wait here, and find nothing left to do.
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
            finally:
                if self.sqlite:
                    # Others enforce keys, and so shall the next. This one alone: the pool may have lent some already,
                    # and those that come back to one that was disposed of are never closed.
                    connection.invalidate()

    def close(self) -> None:
        """Give back every connection; one that is in use ends when it comes back."""
        self._closed = True
        self.engine.dispose()

    def _end_late(self, connection: Any, _: Any) -> None:
        # The pool it goes back to is nobody's any more, and would never close it.
        if self._closed and connection is not None:
            connection.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self.sqlite:
            yield
            return
        with self.write_lock:
            yield


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 30}, pool_size=8, max_overflow=32)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        # FULL: an acknowledged heartbeat survives a power cut; group commit makes the fsync cheap.
        # 4000 pages: heartbeats fill the log fast, and each checkpoint holds them up.
        pragmas = (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=30000",
            "wal_autocheckpoint=4000",
        )
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
