"""A reconciler with its records, on a real Argo engine that sees the cluster through a faulty door."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from api.db import Database
from api.reconciler.submit import Wanted
from api.reconciler.tools import Tools
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench
from tests.cluster.faults.backend import Backend, manifest
from tests.cluster.faults.faulty import Faulty
from tests.workflows.argo.fake import Api, serving
from tests.workflows.argo.store import argo_server
from workflows.argo import ArgoServer
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine


class Ordeal(Bench):
    """The bench with a real engine: `restart` leaves the records and the cluster, nothing else."""

    def __init__(self, settings: Settings, database: Database, clock: Clock, backend: Backend, door: Api) -> None:
        self.backend, self.api = backend, door
        assert isinstance(door.behave, Faulty)
        self.door = door.behave
        self.seconds = 1000.0
        self.timed: Callable[[], float] = lambda: self.seconds
        self.server: Api | None = None
        self.client: Client | None = None
        super().__init__(settings, database, clock)

    def restart(self) -> None:
        self.close()
        access = dataclasses.replace(self.backend.access, url=self.api.url, tls=True)
        self.client = Client(access, clock=self.timed)
        server = None
        if self.server is not None:
            server = ArgoServer(dataclasses.replace(access, url=self.server.url), clock=self.timed)
        self.engine: Any = ArgoEngine(self.client, server=server, clock=self.timed)
        super().restart()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Lets the engine watch in a thread of its own, by the real clock."""
        self.timed = time.monotonic
        self.restart()
        stop = threading.Event()
        thread = threading.Thread(target=self.engine.serve, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(10)
            assert not thread.is_alive()

    def until(self, true: Callable[[], bool]) -> None:
        """Looks again and again until something is so."""
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline
            super().tick(seconds=1)
            threading.Event().wait(0.02)

    def close(self) -> None:
        if self.client is not None:
            self.engine.close()

    def build(self, _: Tools, wanted: Wanted) -> dict[str, Any]:
        return manifest(wanted.job_id, wanted.number)

    def tick(self, times: int = 1, *, seconds: float = 70) -> None:
        """Looks some times; the longest pause of the patient is over after each."""
        for _ in range(times):
            super().tick(seconds=seconds)
            self.seconds += seconds


@contextmanager
def through_argo_server(ordeal: Ordeal) -> Iterator[Faulty]:
    """Lets the ordeal submit through an Argo Server; yields what may go wrong with it."""
    faulty = Faulty(argo_server(ordeal.door._noting))
    with serving(faulty) as api:
        ordeal.server = api
        ordeal.restart()
        yield faulty
