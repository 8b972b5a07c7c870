"""Logs that cannot be read hold up nothing: not the other jobs, not the end of their own."""

from __future__ import annotations

from collections import Counter

from api.jobs.status import State
from api.reconciler.loop import LOGS_PER_LOOK
from tests.api.reconciler.bench import Bench
from workflows.engine import EngineUnavailable

TIMEOUT = 10


def hang(bench: Bench) -> Counter[str]:
    """Has every log take its whole timeout; counts who was asked for."""
    asked: Counter[str] = Counter()

    def logs(name: str, node_id: str, offset: int) -> bytes:
        asked[name] += 1
        bench.clock.advance(TIMEOUT)
        raise EngineUnavailable(f"cannot read the log of pod {node_id} in time")

    bench.engine.logs = logs  # type: ignore[method-assign]
    return asked


def test_a_look_spends_little_on_them_and_each_has_its_turn(bench: Bench) -> None:
    names = [bench.running() for _ in range(8)]
    asked = hang(bench)
    looks = []
    for _ in range(8):
        began = bench.clock()
        bench.reconciler.tick()
        looks.append(bench.clock() - began)
        bench.clock.advance(0.5)
    assert max(looks).total_seconds() <= LOGS_PER_LOOK.total_seconds() + TIMEOUT
    assert set(asked) == set(names)


def test_what_waits_and_what_is_cancelled_is_seen_to_meanwhile(bench: Bench) -> None:
    names = [bench.running() for _ in range(8)]
    hang(bench)
    fresh = bench.create()
    bench.cancel(names[-1])
    bench.clock.advance(bench.settings.cancel_grace + 1)
    bench.tick(2)
    assert bench.job(fresh).state == State.QUEUED
    assert ("stop", names[-1]) in bench.engine.calls


def test_who_never_answers_is_asked_less_and_less(bench: Bench) -> None:
    name = bench.running()
    asked = hang(bench)
    bench.tick(600, seconds=1)
    assert 3 <= asked[name] <= 12


def test_a_job_that_has_ended_is_not_told_that_it_cannot_be_followed(bench: Bench) -> None:
    name = bench.running()
    bench.engine.fail(name, "main: Error (exit code 1): boom")
    hang(bench)
    bench.tick(20, seconds=5)
    assert bench.job(name).state == State.FAILED
    assert "engine_away" not in bench.told(name, "platform")
    bench.tick(20, seconds=60)
    assert bench.attempt(name).closed
    assert "logs_not_kept" in bench.told(name, "platform")
