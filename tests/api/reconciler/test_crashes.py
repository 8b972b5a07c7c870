"""Whatever happens in whatever order, with crashes between any two steps: nothing is lost, doubled or undone."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy.orm import Session

from api.db import Database
from api.jobs.status import TERMINAL, State
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench
from tests.postgres import Server

JOBS = 3


class Crash(BaseException):
    """The process is gone: nothing may catch it."""


class CrashingDatabase(Database):
    """A database during whose n-th transaction from now the process dies, before or after its commit."""

    countdown: int | None = None
    after_commit = False

    @contextmanager
    def write(self) -> Iterator[Session]:
        dies = self._dies()
        with super().write() as session:
            yield session
            if dies and not self.after_commit:
                raise Crash
        if dies:
            raise Crash

    def _dies(self) -> bool:
        if self.countdown is None:
            return False
        self.countdown -= 1
        return self.countdown < 0


OPERATIONS = st.one_of(
    st.tuples(st.just("tick"), st.sampled_from([0.5, 10.0, 100.0])),
    st.tuples(st.just("crash"), st.tuples(st.integers(0, 4), st.booleans())),
    st.tuples(
        st.sampled_from(
            ["advance", "advance", "fail", "cancel", "retry", "delete", "heartbeat", "done", "away", "back", "create"]
        ),
        st.integers(0, JOBS - 1),
    ),
)


class Story:
    """Plays operations on a bench and keeps count of what may be asked of the outcome."""

    def __init__(self, bench: Bench, database: CrashingDatabase) -> None:
        self.bench = bench
        self.database = database
        self.names: list[str] = []
        self.deletions: Counter[str] = Counter()

    def play(self, operation: tuple[str, Any]) -> None:
        verb, value = operation
        if verb == "tick":
            self.bench.tick(seconds=value)
        elif verb == "crash":
            self.database.countdown, self.database.after_commit = value
            with suppress(Crash):
                self.bench.tick(3)
            self.database.countdown = None
            self.bench.restart()
        elif verb == "create" and len(self.names) < JOBS:
            self.names.append(self.bench.create(project=["a", "b", None][value]))
        elif verb in ("away", "back"):
            self.bench.engine.available = verb == "back"
        elif self.names:
            self._on_job(verb, value % len(self.names))

    def _on_job(self, verb: str, index: int) -> None:
        bench, name = self.bench, self.names[index]
        held = name in bench.engine.workflows
        if verb == "advance":
            bench.engine.advance(name)
        elif verb == "fail" and held and bench.engine.workflows[name]["status"]["phase"] == "Running":
            bench.engine.fail(name, "main: Error (exit code 1): broken")
        elif verb == "delete" and held:
            del bench.engine.workflows[name]
            self.deletions[name] += 1
        elif verb == "cancel":
            bench.cancel(name)
        elif verb == "heartbeat":
            bench.heartbeat(name)
        elif verb == "done":
            bench.done(name, "succeeded")
        elif verb == "retry" and bench.job(name).state in (State.FAILED, State.CANCELLED):
            self.names[index] = bench.retry(name)

    def settle(self) -> None:
        """No more faults: the engine does its work until every job has ended and is closed."""
        self.bench.engine.available = True
        for _ in range(200):
            if all(self.bench.job(n).state in TERMINAL and self.bench.attempt(n).closed for n in self.names):
                return
            for name in list(self.bench.engine.workflows):
                self.bench.engine.advance(name)
            self.bench.tick(seconds=30)
        raise AssertionError({name: self.bench.job(name).state for name in self.names})


STORIES = given(operations=st.lists(OPERATIONS, min_size=3, max_size=25))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@STORIES
def test_nothing_is_lost_doubled_or_undone(
    operations: list[tuple[str, Any]], migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    shutil.copyfile(migrated, home / "tiphys.db")
    tell(operations, home, f"sqlite:///{home / 'tiphys.db'}")


@pytest.mark.postgres
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@STORIES
def test_nothing_is_lost_doubled_or_undone_on_postgresql(
    operations: list[tuple[str, Any]], postgres_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tell(operations, tmp_path_factory.mktemp("home"), postgres_server.fresh())


def tell(operations: list[tuple[str, Any]], home: Path, url: str) -> None:
    database = CrashingDatabase(url)
    try:
        keys = {"k": SecretStr("s" * 40)}
        bench = Bench(Settings(home=home, signing_keys=keys, database_url=url), database, Clock())
        story = Story(bench, database)
        for operation in [("create", 0), *operations]:
            story.play(operation)
        story.settle()
        check(story)
    finally:
        database.close()


def check(story: Story) -> None:
    bench = story.bench
    for name, times in bench.engine.created.items():
        # Deleted before its submission was recorded, a workflow is rightly made anew.
        assert times <= 1 + story.deletions[name], f"{name} was run {times} times"
    for name in story.names:
        moves = [event.data for event in bench.events(name, kind="state")]
        for before, after in pairwise(moves):
            assert after["from"] == before["to"]
        assert moves[-1]["to"] == bench.job(name).state
        for before in moves:
            assert before["from"] not in TERMINAL or before["to"] == State.PENDING
        if story.deletions:
            continue
        steps = [(e.attempt, e.event_type, e.data["node"]) for e in bench.events(name, kind="step")]
        assert len(steps) == len(set(steps)), "a step event was told twice"
    left = [n for n, w in bench.engine.workflows.items() if w["status"]["phase"] == "Running"]
    assert not left, f"nobody follows {left}"
