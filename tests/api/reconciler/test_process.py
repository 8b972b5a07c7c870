"""The process itself: one per home folder, waits for the schema, ends with its parent or at SIGTERM, stays small."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from api.db import Database
from api.jobs.status import State
from api.models import DatasetTask, Job
from api.reconciler.__main__ import LOCKED_EXIT
from api.reconciler.tools import utc_now
from api.settings import SOURCE, Settings
from tests.api.factories import create_dataset, create_job, environment_of

IDLE_MIB = 80
DRIVER_MIB = 12
"""What psycopg adds."""
DEADLINE = 30.0

Start = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts reconcilers on the test's home folder; whatever is left of them is killed."""
    children: list[subprocess.Popen[bytes]] = []
    environment = {"PATH": os.environ["PATH"], "TIPHYS_GPUS": "0"} | environment_of(settings)
    environment |= {"PYTHONPATH": str(SOURCE), "TIPHYS_TICK": "0.05", "TIPHYS_ENVIRONMENTS": str(tmp_path)}

    def begin() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "api.reconciler"]
        with (tmp_path / f"{len(children)}.err").open("wb") as errors:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors, env=environment, cwd=tmp_path)
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.wait()
        if child.stdin:
            child.stdin.close()


def until(holds: Callable[[], bool], child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        with suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"it ended with {child.wait(0.05)}")


def alive(settings: Settings) -> Callable[[], bool]:
    return (settings.resolved_home() / "reconciler.alive").exists


def test_it_ends_when_its_parent_closes_the_pipe(start: Start, settings: Settings, database: Database) -> None:
    child = start()
    until(alive(settings), child)
    assert child.stdin
    child.stdin.close()
    assert child.wait(DEADLINE) == 0


def test_it_ends_at_sigterm_and_leaves_its_place_free(start: Start, settings: Settings, database: Database) -> None:
    child = start()
    until(alive(settings), child)
    child.send_signal(signal.SIGTERM)
    assert child.wait(DEADLINE) == 0
    (settings.resolved_home() / "reconciler.alive").unlink()
    until(alive(settings), start())


def test_a_second_one_is_refused_with_a_cure(
    start: Start, settings: Settings, database: Database, tmp_path: Path
) -> None:
    until(alive(settings), start())
    assert start().wait(DEADLINE) == LOCKED_EXIT
    words = (tmp_path / "1.err").read_text()
    assert f"another reconciler works in {settings.resolved_home()}" in words
    assert "Traceback" not in words


def test_it_waits_for_the_schema_and_then_works(start: Start, settings: Settings) -> None:
    child = start()
    home = settings.resolved_home()
    until((home / "reconciler.lock").exists, child)
    database = Database(settings.resolved_database_url())
    try:
        database.migrate()
        with database.write() as session:
            spec = {"framework": "nope", "model": "m", "dataset": "d"}
            job_id = create_job(session, created_at=utc_now(), spec=spec).id
        until(lambda: _state(database, job_id) == State.FAILED, child)
    finally:
        database.close()


def test_it_is_small_while_it_has_nothing_to_do(start: Start, settings: Settings, database: Database) -> None:
    child = start()
    until(alive(settings), child)
    used = psutil.Process(child.pid).memory_info().rss / 2**20
    assert used <= IDLE_MIB + (0 if database.sqlite else DRIVER_MIB), f"{used:.0f} MiB"


def test_a_datasets_task_outlives_a_killed_one(
    start: Start, settings: Settings, database: Database, tmp_path: Path
) -> None:
    python = tmp_path / "steps" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/worker; exec sleep 300\n")
    python.chmod(0o755)
    (tmp_path / "pets").mkdir()
    with database.write() as session:
        create_dataset(session, id="pets", uri=f"file://{tmp_path}/pets/")
        row = DatasetTask(id="t1", dataset_id="pets", kind="check", options={}, state="pending", created_at=utc_now())
        session.add(row)
    killed = start()
    until(lambda: (tmp_path / "worker").exists() and (tmp_path / "worker").read_text() != "", killed)
    noted = settings.resolved_home() / "scratch" / "datasets"
    until(lambda: any(path.read_text().endswith("}") for path in noted.glob("*/process.json")), killed)
    left = psutil.Process(int((tmp_path / "worker").read_text()))
    killed.kill()
    killed.wait()
    assert left.is_running(), "which nobody has told to end"
    python.write_text("""#!/bin/sh\necho '{"errors": [], "warnings": []}'\n""")
    again = start()
    until(lambda: _task(database) == "succeeded", again)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
    # It is cleared away after the end is told.
    until(lambda: list((settings.resolved_home() / "scratch" / "datasets").iterdir()) == [], again)


def _task(database: Database) -> str:
    with database.read() as session:
        return session.get_one(DatasetTask, "t1").state


def _state(database: Database, job_id: str) -> str:
    with database.read() as session:
        return session.get_one(Job, job_id).state
