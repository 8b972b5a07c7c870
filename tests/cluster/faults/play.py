"""One play over a cluster that fails in every way: users, a controller, and a reconciler that dies."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr
from sqlalchemy import select

from api.db import Database
from api.jobs.status import TERMINAL, State
from api.models import Attempt
from api.settings import Settings, prepare_home
from tests.api.factories import Clock
from tests.cluster.faults import faulty
from tests.cluster.faults.backend import twin
from tests.cluster.faults.faulty import Faulty
from tests.cluster.faults.ordeal import Ordeal
from tests.workflows.argo.fake import serving
from tests.workflows.argo.store import Store
from workflows.argo.events import Cut, Expired
from workflows.engine import EngineError

STEPS = ("download", "convert", "train", "upload", "report")
WATCHES: dict[str, Any] = {
    "whole": None,
    "cut": faulty.cut_after(1),
    "twice": faulty.twice,
    "torn": faulty.half,
    "nonsense": faulty.talks_nonsense,
}
JOBS = 6


class Deed(NamedTuple):
    """What happens next, to which workflow, and what goes wrong meanwhile."""

    kind: str
    target: int = 0
    faults: tuple[str, ...] = ()
    watch: str = "whole"
    minutes: int = 0


class Play:
    """Everything of one play; `deeds` are what may happen in it."""

    def __init__(self, migrated: Path) -> None:
        self.open = ExitStack()
        home = Path(self.open.enter_context(tempfile.TemporaryDirectory()))
        settings = prepare_home(Settings(home=home, engine="argo", user_token=SecretStr("t"), max_active_jobs=3))
        shutil.copyfile(migrated, settings.resolved_home() / "tiphys.db")
        database = Database(settings.resolved_database_url())
        self.open.callback(database.close)
        backend = self.open.enter_context(twin())
        assert isinstance(backend.behave, Store)
        self.store = backend.behave
        self.store.live = False
        door = self.open.enter_context(serving(Faulty(self.store)))
        self.bench = Ordeal(settings, database, Clock(), backend, door)
        self.open.callback(lambda: self.bench.close())
        self.names: list[str] = []
        self.ended: dict[str, str] = {}
        """How each workflow ended in the cluster: by its own phase, or by a deletion."""
        self.cancelled: set[str] = set()

    @property
    def alive(self) -> list[str]:
        """The workflows that the controller has still to do with."""
        return [name for name in self.store.kept["workflows"] if name not in self.ended]

    def do(self, deed: Deed) -> None:
        """Does one deed; one that finds nobody to do it to does nothing."""
        self.bench.door.coming, self.bench.door.watch = list(deed.faults), WATCHES[deed.watch]
        getattr(self, f"_{deed.kind}")(deed)
        self.bench.door.mend()

    def _submit(self, _: Deed) -> None:
        if len(self.names) < JOBS:
            self.names.append(self.bench.create())

    def _cancel(self, deed: Deed) -> None:
        name = _one(self.names, deed)
        if name and self._current(name) and State(self.bench.job(name).state) not in TERMINAL:
            self.cancelled.add(name)
            self.bench.cancel(name)

    def _retry(self, deed: Deed) -> None:
        name = _one(self.names, deed)
        if name and self._current(name) and self.bench.job(name).state in ("failed", "cancelled"):
            self.names.append(self.bench.retry(name))

    def _delete(self, deed: Deed) -> None:
        name = _one(self.alive, deed)
        # Before it is on record nobody could tell a deletion from a submit that never came.
        if name and self.bench.attempt(name).submitted_at is not None:
            self.ended[name] = "deleted"
            self.store.remove("workflows", name)

    def _go_on(self, deed: Deed) -> None:
        name = _one(self.alive, deed)
        if name:
            self.advance(name)

    def _fail(self, deed: Deed) -> None:
        name = _one(self.alive, deed)
        if name:
            self.advance(name, fails=True)

    def _look(self, _: Deed) -> None:
        self.bench.tick()

    def _watch(self, _: Deed) -> None:
        engine = self.bench.engine
        engine.watching = True
        try:
            engine.watcher.once(threading.Event())
        except (Cut, Expired):
            pass
        except EngineError as error:
            engine.watcher._lost(error)

    def _crash(self, _: Deed) -> None:
        self.bench.restart()

    def _forget(self, _: Deed) -> None:
        self.store.compact()

    def _shift(self, deed: Deed) -> None:
        self.bench.clock.advance(deed.minutes * 60)

    def advance(self, name: str, *, fails: bool = False) -> None:
        """Does what the controller does next."""
        workflow, backend = self.store.kept["workflows"][name], self.bench.backend
        if stopped := workflow["spec"].get("shutdown"):
            self.ended[name] = "Failed"
            backend.end(name, "Failed", f"Stopped with strategy '{stopped}'")
            return
        nodes = (workflow.get("status") or {}).get("nodes") or {}
        for step in STEPS:
            node = nodes.get(f"{name}-{step}")
            if node is None:
                backend.step(name, step, "Running")
                return
            if node["phase"] == "Running":
                if fails:
                    self.ended[name] = "Failed"
                    backend.step(name, step, "Failed", message="main: Error (exit code 1): bad")
                    backend.end(name, "Failed")
                else:
                    backend.step(name, step, "Succeeded")
                return
        self.ended[name] = "Succeeded"
        backend.end(name)

    def finish(self) -> None:
        """Mends everything and brings every workflow to its end."""
        look = Deed("look")
        for _ in range(60):
            for name in self.alive:
                self.advance(name)
            self.do(Deed("watch"))
            self.do(look)
            self.bench.clock.advance(200)
            if all(self._over(name) for name in self.names):
                return

    def check(self) -> None:
        """Holds whatever happened: nothing made twice, nobody refused for what passes."""
        made = Counter(name for kind, name in self.store.created if kind == "workflows")
        assert all(count == 1 for count in made.values()), made
        for name in self.names:
            assert self.bench.job(name).reason != "refused", self.bench.job(name).message

    def check_end(self) -> None:
        """Holds in the end: one right record for each attempt, each step told once, no Secret left alone."""
        self.check()
        for name in self.names:
            self._ended_right(name)
        assert set(self.store.kept["secrets"]) <= set(self.store.kept["workflows"])

    def _ended_right(self, name: str) -> None:
        job = self.bench.job(name)
        assert State(job.state) in TERMINAL, (name, job.state, job.message)
        if not self._row(name):
            assert name in self.cancelled
            return
        row = self.bench.attempt(name)
        assert row.closed, (name, row.state, job.state)
        state = job.state if job.attempt == row.number else row.state
        how = self.ended.get(name)
        right = {"Succeeded": {"succeeded"}, "Failed": {"failed"}, "deleted": {"failed"}, None: set()}[how]
        # A cancel may come before or after the end was seen.
        right |= {"cancelled"} if name in self.cancelled else set()
        assert state in right, (name, state, job.reason, how, job.message)
        steps = [e for e in self.bench.events(name, kind="step") if e.attempt == row.number]
        told = Counter((event.event_type, event.data["node"]) for event in steps)
        assert all(count == 1 for count in told.values()), told

    def _over(self, name: str) -> bool:
        over = State(self.bench.job(name).state) in TERMINAL
        return over and (not self._row(name) or self.bench.attempt(name).closed)

    def _row(self, name: str) -> bool:
        with self.bench.database.read() as session:
            return session.scalar(select(Attempt.job_id).where(Attempt.workflow_name == name)) is not None

    def _current(self, name: str) -> bool:
        return self.bench.job(name).attempt == int(name.split("-")[2])


def _one(of: list[str], deed: Deed) -> str | None:
    return of[deed.target % len(of)] if of else None
