"""Silent trainers: warned, then stopped; never for an absence of our own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.db import Database
from api.jobs.status import Reason, State
from api.models import Job
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench, job_id_of
from tests.api.reconciler.scripted import ScriptedEngine

MINUTE = 60


def minutes(bench: Bench, count: float, *, beat: str | None = None) -> None:
    """Lets time go by with a look every 10 s."""
    for _ in range(round(count * 6)):
        if beat:
            bench.heartbeat(beat)
        bench.tick(seconds=10)


def test_ten_minutes_warn_and_thirty_fail(bench: Bench) -> None:
    name = bench.running()
    minutes(bench, 9)
    assert bench.told(name, "platform") == []
    minutes(bench, 2)
    assert bench.told(name, "platform") == ["silence"]
    assert bench.events(name, kind="platform")[0].level == "warning"
    minutes(bench, 18)
    assert bench.job(name).state == State.RUNNING
    minutes(bench, 2)
    job = bench.job(name)
    assert (job.state, job.reason) == (State.FAILED, Reason.HEARTBEAT_TIMEOUT)
    assert "No heartbeat for 30 min" in (job.message or "")
    assert "limits.no_heartbeat" in (job.message or "")
    assert ("stop", name) in bench.engine.calls


def test_a_job_that_speaks_is_left_alone(bench: Bench) -> None:
    name = bench.running()
    minutes(bench, 40, beat=name)
    assert bench.told(name, "platform") == []
    minutes(bench, 11)
    assert bench.told(name, "platform") == ["silence"]
    bench.heartbeat(name)
    minutes(bench, 11)
    assert bench.told(name, "platform") == ["silence", "silence"]


def test_the_jobs_own_limit_counts(bench: Bench) -> None:
    name = bench.running(spec={"limits": {"no_heartbeat": "90s"}})
    minutes(bench, 0.7)
    assert bench.told(name, "platform") == ["silence"]
    minutes(bench, 1.5)
    assert bench.job(name).reason == Reason.HEARTBEAT_TIMEOUT


def test_only_a_running_trainer_can_be_silent(bench: Bench) -> None:
    name = bench.running("download")
    minutes(bench, 45)
    bench.engine.until(name, "convert")
    bench.engine.advance(name)
    bench.engine.node(name, "train", "Pending", message="Unschedulable: 0/1 nodes are available: no GPU")
    minutes(bench, 45)
    assert bench.job(name).state == State.RUNNING
    bench.engine.node(name, "train", "Running")
    minutes(bench, 9)
    assert bench.told(name, "platform") == []


def test_an_api_that_was_away_kills_nobody(bench: Bench) -> None:
    name = bench.running()
    minutes(bench, 5, beat=name)
    bench.api_there = False
    minutes(bench, 60)
    assert bench.job(name).state == State.RUNNING
    assert bench.told(name, "platform") == []
    bench.api_there = True
    minutes(bench, 9)
    assert bench.told(name, "platform") == []
    minutes(bench, 22)
    assert bench.job(name).reason == Reason.HEARTBEAT_TIMEOUT


def test_a_reconciler_that_was_away_kills_nobody(bench: Bench) -> None:
    name = bench.running()
    bench.clock.advance(3 * 60 * MINUTE)
    bench.restart()
    bench.tick(4)
    assert bench.told(name, "platform") == []


def test_a_machine_that_slept_kills_nobody(bench: Bench) -> None:
    name = bench.running()
    minutes(bench, 1)
    bench.clock.advance(8 * 60 * MINUTE)
    bench.tick(4)
    assert bench.told(name, "platform") == []
    assert bench.job(name).state == State.RUNNING


def test_a_heartbeat_at_the_last_moment_saves_the_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bench.running()
    minutes(bench, 29.5)
    get = bench.engine.get

    def meanwhile(wanted: str) -> dict[str, Any] | None:
        bench.heartbeat(name)
        return get(wanted)

    monkeypatch.setattr(bench.engine, "get", meanwhile)
    bench.clock.advance(MINUTE - 10)
    bench.tick(3)
    monkeypatch.undo()
    assert bench.job(name).state == State.RUNNING
    assert ("stop", name) not in bench.engine.calls


def test_the_decision_survives_a_crash_before_the_engine_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bench.running(spec={"limits": {"no_heartbeat": "60s"}})

    def away(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench.engine, "stop", away)
    with pytest.raises(KeyboardInterrupt):
        minutes(bench, 3)
    monkeypatch.undo()
    bench.restart()
    bench.tick(3)
    assert bench.job(name).reason == Reason.HEARTBEAT_TIMEOUT
    assert [e.event_type for e in bench.events(name, kind="platform")] == ["silence", "silence"]


class Letting(ScriptedEngine):
    """An engine with machines of its own, some of which are gone."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.gone: set[str] = set()
        self.released: list[str] = []

    def release(self, name: str, node_id: str) -> bool:
        if node_id not in self.gone:
            return False
        self.gone.discard(node_id)
        self.released.append(node_id)
        return True


def test_a_trainer_whose_machine_is_gone_is_let_go_of_and_has_time_to_begin_elsewhere(
    settings: Settings, database: Database, clock: Clock
) -> None:
    engine = Letting(clock)
    bench = Bench(settings, database, clock, engine=engine)
    name = bench.running()
    engine.gone = {f"{name}-train"}
    minutes(bench, 31)
    assert engine.released == [f"{name}-train"]
    # The engine takes some minutes to see it, and its pod is not there to be asked about any more.
    minutes(bench, 5)
    assert bench.job(name).state == State.RUNNING
    assert "node_lost" in bench.told(name, "platform")
    engine.node(name, "train", "Pending")
    minutes(bench, 40)
    engine.node(name, "train", "Running")
    minutes(bench, 9, beat=name)
    assert bench.job(name).state == State.RUNNING
    minutes(bench, 31)
    assert bench.job(name).reason == Reason.HEARTBEAT_TIMEOUT


def test_progress_that_the_engine_sees_is_a_sign_of_life(bench: Bench) -> None:
    name = bench.running()
    node = bench.engine.workflows[name]["status"]["nodes"][f"{name}-train"]
    for epoch in range(12):
        node["progress"] = f"{epoch}/100"
        minutes(bench, 5)
    assert bench.told(name, "platform") == []


def test_a_heartbeat_is_heard_whatever_the_clock_says_that_stamped_it(bench: Bench) -> None:
    name = bench.running(spec={"limits": {"no_heartbeat": "90s"}})
    for _ in range(20):
        with bench.database.write() as session:
            behind = bench.clock() - timedelta(seconds=85)
            session.get_one(Job, job_id_of(name)).last_heartbeat_at = behind
        bench.tick(seconds=10)
    assert bench.told(name, "platform") == []
