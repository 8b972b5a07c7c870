"""Whatever goes wrong while a job runs: it runs on, is told once that nobody can be asked, and ends as it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.faults import faulty
from tests.cluster.faults.faulty import FAULTS, SAID
from tests.cluster.faults.ordeal import Ordeal

BROKEN = sorted(set(FAULTS) - {"fine"})
STEPS = ("download", "convert", "train", "upload", "report")


class Killed(BaseException):
    """The process ends here; nothing catches it."""


def _running(ordeal: Ordeal, **values: Any) -> str:
    name = ordeal.create(**values)
    ordeal.tick()
    ordeal.backend.step(name, "download", "Running")
    ordeal.tick()
    assert ordeal.job(name).state == "running"
    return name


def _told_once(ordeal: Ordeal, name: str) -> None:
    told = Counter((e.event_type, e.data.get("node")) for e in ordeal.events(name, kind="step"))
    assert told
    assert set(told.values()) == {1}, told


@pytest.mark.parametrize("fault", BROKEN)
def test_a_cluster_that_fails_for_a_while(ordeal: Ordeal, fault: str) -> None:
    name = _running(ordeal)
    ordeal.door.always = fault
    ordeal.tick(5)
    ordeal.restart()
    ordeal.tick()
    assert ordeal.job(name).state == "running"
    told = [event.message for event in ordeal.events(name) if event.event_type == "engine_away"]
    assert len(told) == 1
    assert SAID[fault] in told[0]
    ordeal.door.mend()
    ordeal.backend.step(name, "download", "Succeeded")
    ordeal.backend.end(name)
    ordeal.tick(2)
    assert ordeal.job(name).state == "succeeded", ordeal.job(name).message
    assert ordeal.attempt(name).closed
    assert ordeal.door.made.count(name) == 1
    _told_once(ordeal, name)


@pytest.mark.parametrize("spoilt", [faulty.cut_after(1), faulty.twice, faulty.half, faulty.talks_nonsense])
def test_a_watch_that_is_cut_told_twice_torn_or_answered_by_a_page(ordeal: Ordeal, spoilt: Any) -> None:
    with ordeal.serving():
        name = ordeal.create()
        ordeal.door.watch = spoilt
        ordeal.until(lambda: ordeal.job(name).state == "queued")
        for step in STEPS:
            ordeal.backend.step(name, step, "Running")
            ordeal.backend.step(name, step, "Succeeded")
        ordeal.door.watch = None
        ordeal.backend.end(name)
        ordeal.until(lambda: ordeal.job(name).state == "succeeded")
    _told_once(ordeal, name)
    assert {event.data.get("node") for event in ordeal.events(name, kind="step")} == {f"{name}-{s}" for s in STEPS}


def test_a_deletion_is_told_from_a_cluster_that_is_away(ordeal: Ordeal) -> None:
    name = _running(ordeal)
    ordeal.door.always = "no Argo"
    ordeal.backend.delete(name)
    ordeal.tick(3)
    assert ordeal.job(name).state == "running"
    ordeal.door.mend()
    ordeal.tick(2)
    job = ordeal.job(name)
    assert (job.state, job.reason) == ("failed", "workflow_deleted")
    assert ordeal.door.made.count(name) == 1


def test_a_workflow_that_took_the_name_is_not_followed(ordeal: Ordeal) -> None:
    name = _running(ordeal)
    before = ordeal.backend.workflow(name)
    assert before is not None
    ordeal.backend.delete(name)
    metadata = {"name": name, "labels": {"workflows.argoproj.io/controller-instanceid": "nobody"}}
    ordeal.backend.create({**before, "metadata": metadata, "status": {"phase": "Succeeded"}})
    ordeal.tick(2)
    job = ordeal.job(name)
    assert (job.state, job.reason) == ("failed", "workflow_deleted")
    ordeal.tick(2)
    there = ordeal.backend.workflow(name)
    assert there is not None
    assert "shutdown" not in there["spec"]


@contextmanager
def _killed(ordeal: Ordeal, monkeypatch: pytest.MonkeyPatch, *, at: int, done: bool) -> Iterator[None]:
    """Lets the process die at its n-th commit: just before it, or just after."""
    write, count = ordeal.database.write, 0

    @contextmanager
    def fatal() -> Iterator[Any]:
        nonlocal count
        count += 1
        with write() as session:
            yield session
            if count == at and not done:
                raise Killed
        if count == at and done:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ordeal.database, "write", fatal)
        yield


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_watcher_killed_at_a_commit(ordeal: Ordeal, monkeypatch: pytest.MonkeyPatch, at: int, done: bool) -> None:
    name = ordeal.create()
    moves = [
        lambda: ordeal.backend.step(name, "download", "Running"),
        lambda: ordeal.backend.step(name, "download", "Succeeded"),
        lambda: ordeal.backend.end(name),
    ]
    for move in [lambda: None, *moves]:
        move()
        with _killed(ordeal, monkeypatch, at=at, done=done):
            try:
                ordeal.tick(2)
            except Killed:
                ordeal.restart()
        ordeal.tick()
    ordeal.tick(2)
    assert ordeal.job(name).state == "succeeded"
    assert ordeal.attempt(name).closed
    assert ordeal.door.made.count(name) == 1
    _told_once(ordeal, name)


@pytest.mark.parametrize("hours", [-1, 1])
@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_clocks_that_are_an_hour_apart(ordeal: Ordeal, hours: int, phase: str) -> None:
    ordeal.clock.advance(hours * 3600)
    name = _running(ordeal)
    ordeal.backend.step(name, "download", phase, message="main: Error (exit code 1)")
    ordeal.backend.end(name, phase)
    ordeal.tick(2)
    assert ordeal.job(name).state == phase.lower()
    _told_once(ordeal, name)


def test_a_cluster_whose_clock_is_behind_costs_no_job_its_time(ordeal: Ordeal) -> None:
    ordeal.clock.advance(3600)
    name = _running(ordeal, spec={"framework": "toy", "limits": {"total": "1h"}})
    # By the cluster's clock it began an hour ago, at the very moment it was made.
    ordeal.backend.patch(name, {"status": {"startedAt": "2026-11-21T12:00:00Z"}})
    ordeal.tick(4)
    assert ordeal.job(name).state == "running"
    assert ordeal.attempt(name).stop_reason is None
