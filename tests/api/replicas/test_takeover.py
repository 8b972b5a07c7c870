"""Two real reconcilers on one PostgreSQL: one works, the other takes over, and nothing is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, text

from api.db import Database
from api.models import Event, Job, Lease
from api.reconciler.tools import utc_now
from api.settings import SOURCE, Settings
from tests.api.factories import create_job, environment_of

LEASE = 3.0
DEADLINE = 40.0
# The reconciler refuses it at once: a deed that shows in the records.
REFUSED = {"framework": "nope", "model": "m", "dataset": "d"}


@dataclass
class Process:
    """One reconciler, with a home folder of its own as in a container."""

    child: subprocess.Popen[bytes]
    log: Path

    def signal(self, number: int) -> None:
        self.child.send_signal(number)

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.child.pid, signal.SIGCONT)
        self.child.kill()
        self.child.wait()


Start = Callable[[], Process]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    made: list[Process] = []

    def begin() -> Process:
        home = tmp_path / f"pod-{len(made)}"
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)} | environment_of(settings)
        environment |= {"TIPHYS_HOME": str(home), "TIPHYS_TICK": "0.05", "TIPHYS_GPUS": "0"}
        environment |= {"TIPHYS_RECONCILER_LEASE": str(LEASE), "TIPHYS_ENVIRONMENTS": str(tmp_path)}
        log = tmp_path / f"{len(made)}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", "api.reconciler"], stdin=subprocess.DEVNULL, stderr=output, env=environment
            )
        made.append(Process(child, log))
        return made[-1]

    yield begin
    for process in made:
        process.end()


def until(holds: Callable[[], bool], *processes: Process) -> float:
    """Waits for something; returns the seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < DEADLINE, [p.log.read_text()[-2000:] for p in processes]
        with suppress(subprocess.TimeoutExpired):
            processes[0].child.wait(0.02)
            raise AssertionError(processes[0].log.read_text())
    return time.monotonic() - began


def holder(database: Database) -> int | None:
    """The pid of the active one."""
    with database.read() as session:
        stands = text("until > clock_timestamp() AT TIME ZONE 'UTC'")
        found = session.scalar(select(Lease.holder).where(stands))
    return int(found.rpartition("/")[2]) if found else None


def active(database: Database, process: Process) -> Callable[[], bool]:
    return lambda: holder(database) == process.child.pid


def stands_by(process: Process) -> Callable[[], bool]:
    return lambda: process.log.read_text().rstrip().endswith("standing by")


def job(database: Database) -> str:
    with database.write() as session:
        return create_job(session, created_at=utc_now(), spec=REFUSED).id


def refusals(database: Database, job_id: str) -> int:
    with database.read() as session:
        ends = select(Event.id).where(Event.job_id == job_id, Event.kind == "state", Event.event_type == "failed")
        return len(session.scalars(ends).all())


def test_when_the_active_one_is_killed_the_other_takes_over_in_time(start: Start, database: Database) -> None:
    first = start()
    until(active(database, first), first)
    second = start()
    until(stands_by(second), second)
    one = job(database)
    until(lambda: refusals(database, one) == 1, second)
    first.signal(signal.SIGKILL)
    first.child.wait()
    took = until(active(database, second), second)
    assert took <= LEASE + 1.5, f"{took:.1f} s"
    two = job(database)
    until(lambda: refusals(database, two) == 1, second)


def test_one_that_is_told_to_end_leaves_its_place_at_once(start: Start, database: Database) -> None:
    first = start()
    until(active(database, first), first)
    second = start()
    until(stands_by(second), second)
    first.signal(signal.SIGTERM)
    assert first.child.wait(DEADLINE) == 0
    took = until(active(database, second), second)
    assert took < LEASE, f"{took:.1f} s"


def test_one_that_stood_still_finds_itself_replaced_and_does_nothing(start: Start, database: Database) -> None:
    first = start()
    until(active(database, first), first)
    second = start()
    until(stands_by(second), second)
    here, there = first, second
    jobs = []
    for _ in range(3):
        # Jobs come in while it is stopped, in the middle of whatever it does.
        jobs.append(job(database))
        here.signal(signal.SIGSTOP)
        jobs.append(job(database))
        took = until(active(database, there), there)
        assert took <= 2 * LEASE + 1.5, f"{took:.1f} s"
        until(lambda: refusals(database, jobs[-1]) == 1, there)
        here.signal(signal.SIGCONT)
        until(stands_by(here), here)
        assert active(database, there)()
        here, there = there, here
    assert [refusals(database, job_id) for job_id in jobs] == [1] * len(jobs)
    with database.read() as session:
        assert session.scalar(select(Lease.term)) == 4
        assert set(session.scalars(select(Job.state))) == {"failed"}
