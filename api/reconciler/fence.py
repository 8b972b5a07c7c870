"""Records and engine as the active reconciler uses them: every deed asks first whether it still is the active one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from api.db import Database
from api.reconciler.engines import ServedEngine
from api.reconciler.lease import Lease
from workflows.engine import Described, Releasing, Versioned


class FencedDatabase(Database):
    """The records: no transaction of a reconciler that has lost its lease is committed."""

    lease: Lease | None = None

    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            self._fence(session.connection())
            yield session

    @contextmanager
    def write_connection(self) -> Iterator[Connection]:
        with super().write_connection() as connection:
            self._fence(connection)
            yield connection

    def _fence(self, connection: Connection) -> None:
        if self.lease is not None:
            self.lease.check()
            self.lease.fence(connection)


class FencedEngine:
    """An engine that does nothing for a reconciler whose lease may end before the deed is done."""

    def __init__(self, engine: ServedEngine, lease: Lease) -> None:
        self._engine = engine
        self._lease = lease

    @property
    def place(self) -> str:
        return self._engine.place

    def submit(self, manifest: Mapping[str, Any], *, secrets: Mapping[str, str]) -> None:
        self._lease.check(lasting=True)
        self._engine.submit(manifest, secrets=secrets)

    def stop(self, name: str) -> None:
        self._lease.check(lasting=True)
        self._engine.stop(name)

    def terminate(self, name: str) -> None:
        self._lease.check(lasting=True)
        self._engine.terminate(name)

    def delete(self, name: str) -> None:
        self._lease.check(lasting=True)
        self._engine.delete(name)

    def describe(self, name: str, text: str) -> None:
        if isinstance(self._engine, Described):
            self._lease.check(lasting=True)
            self._engine.describe(name, text)

    def release(self, name: str, node_id: str) -> bool:
        if not isinstance(self._engine, Releasing):
            return False
        self._lease.check(lasting=True)
        return self._engine.release(name, node_id)

    # What only looks needs no lease.

    def get(self, name: str) -> dict[str, Any] | None:
        return self._engine.get(name)

    def version(self, name: str) -> str | None:
        return self._engine.version(name) if isinstance(self._engine, Versioned) else None

    def names(self, *, live: bool = False) -> list[str]:
        return self._engine.names(live=live)

    def logs(self, name: str, node_id: str, offset: int) -> bytes:
        return self._engine.logs(name, node_id, offset)

    def serve(self, stop: threading.Event) -> None:
        self._engine.serve(stop)

    def close(self) -> None:
        self._engine.close()
