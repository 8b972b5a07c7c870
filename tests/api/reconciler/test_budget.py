"""Retries are counted by cause: an engine that would go on is stopped when one cause has used up its own."""

from __future__ import annotations

import pytest

from api.db import Database
from api.jobs.status import Reason, State
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench

TEMPORARY = ("main: Error (exit code 75): storage does not answer", 75)
PREEMPTED = ("main: Error (exit code 143)", 143)
KILLED = ("main: Error (exit code 137)", 137)
DELETED = ("pod deleted", None)


@pytest.fixture
def bench(settings: Settings, database: Database, clock: Clock) -> Bench:
    return Bench(settings, database, clock)


def failing(bench: Bench, step: str, *ends: tuple[str, int | None]) -> str:
    """Records a job one of whose steps has ended so and is to be tried again."""
    name = bench.create()
    bench.tick()
    for number, (message, code) in enumerate(ends):
        tried(bench, name, step, number, "Failed", message, code)
        bench.tick()
    return name


def tried(
    bench: Bench, name: str, step: str, number: int, phase: str, message: str = "", code: int | None = None
) -> None:
    """Shows one try of a step, below a Retry node that runs."""
    at = f"{name}-{step}"
    nodes = bench.engine.workflows[name]["status"]["nodes"]
    common = {"templateName": step, "startedAt": bench.engine._now()}
    retry = nodes.setdefault(
        at, {"id": at, "name": f"{name}.{step}", "type": "Retry", "phase": "Running", "children": []} | common
    )
    node = {"id": f"{at}-{number}", "name": f"{name}.{step}({number})", "type": "Pod", "phase": phase} | common
    node |= {"message": message, "outputs": {"exitCode": str(code)} if code is not None else {}}
    nodes[node["id"]] = node
    retry["children"] = sorted({*retry["children"], node["id"]})


def stopped(bench: Bench, name: str) -> bool:
    bench.tick(2)
    return ("stop", name) in bench.engine.calls


def test_a_temporary_cause_has_three_retries(bench: Bench) -> None:
    assert not stopped(bench, failing(bench, "train", *[TEMPORARY] * 3))
    name = failing(bench, "train", *[TEMPORARY] * 4)
    assert stopped(bench, name)
    job = bench.job(name)
    assert (job.state, job.reason) == (State.FAILED, Reason.TEMPORARY)
    assert "Step train failed for a temporary cause 4 times" in str(job.message)
    assert "storage does not answer" in str(job.message)
    assert "Cure: " in str(job.message)


@pytest.mark.parametrize("end", [PREEMPTED, KILLED, DELETED], ids=["143", "137", "no code"])
def test_a_preemption_has_five_retries(bench: Bench, end: tuple[str, int | None]) -> None:
    assert not stopped(bench, failing(bench, "train", *[end] * 5))
    name = failing(bench, "train", *[end] * 6)
    assert stopped(bench, name)
    assert bench.job(name).reason == Reason.PREEMPTED
    assert "taken off its node 6 times" in str(bench.job(name).message)


def test_each_cause_counts_by_itself(bench: Bench) -> None:
    assert not stopped(bench, failing(bench, "train", *[TEMPORARY, PREEMPTED] * 3))


@pytest.mark.parametrize(
    "last", [("main: Error (exit code 1): bad labels", 1), ("main: OOMKilled (exit code 137)", 137)]
)
def test_another_failure_after_five_preemptions_is_no_sixth_one(bench: Bench, last: tuple[str, int]) -> None:
    assert not stopped(bench, failing(bench, "train", *[PREEMPTED] * 5, last))


def test_a_full_disk_keeps_its_own_name(bench: Bench) -> None:
    name = failing(bench, "convert", *[("main: Error (exit code 75): no space left on device", 75)] * 4)
    assert stopped(bench, name)
    assert bench.job(name).reason == Reason.DISK_FULL


def test_the_step_that_only_tells_goes_on_for_its_hour(bench: Bench) -> None:
    assert not stopped(bench, failing(bench, "report", *[TEMPORARY] * 12))


def test_a_try_that_runs_already_is_stopped_too(bench: Bench) -> None:
    name = failing(bench, "train", *[TEMPORARY] * 3)
    tried(bench, name, "train", 3, "Failed", *TEMPORARY)
    tried(bench, name, "train", 4, "Running")
    assert stopped(bench, name)


def test_the_decision_survives_a_crash_before_the_engine_hears_of_it(bench: Bench) -> None:
    name = failing(bench, "train", *[TEMPORARY] * 4)
    bench.restart()
    assert stopped(bench, name)
    assert bench.told(name, "platform").count("stopping") == 1
