"""The reconciler on the real local engine: real processes, real logs, real exit codes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.artifacts.storage import open_storage
from api.db import Database
from api.jobs.status import Reason, State, move
from api.models import Attempt, Event, Job
from api.reconciler.loop import Reconciler
from api.reconciler.submit import Wanted
from api.reconciler.tools import Tools, utc_now
from api.settings import Settings
from tests.api.factories import create_checkpoint, create_job
from workflows.keys import new_job_id, workflow_name
from workflows.local import Capacity, LocalEngine, LocalImages

DEADLINE = 30.0


def template(name: str, script: str, **more: Any) -> dict[str, Any]:
    container = {"image": "custom/shell:1", "command": ["sh", "-c", script]}
    return {"name": name, "container": container, **more}


def manifest_of(name: str, **scripts: str) -> dict[str, Any]:
    """A workflow of shell commands: download, train (retried after 75), report, and the exit handler."""
    again = {"limit": 2, "expression": "lastRetry.exitCode == '75'", "backoff": {"duration": "0"}}
    tasks = [
        {"name": "download", "template": "download"},
        {"name": "train", "template": "train", "depends": "download"},
        {"name": "report", "template": "report", "depends": "train"},
    ]
    templates = [
        {"name": "main", "dag": {"tasks": tasks}},
        template("download", scripts.get("download", "echo fetched")),
        template("train", scripts.get("train", "echo epoch 1"), retryStrategy=again),
        template("report", "echo reported"),
        template("on-exit", "echo over"),
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main", "onExit": "on-exit", "templates": templates},
    }


class Place:
    """A reconciler and a real engine over one home folder, stepped by the test itself."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.scripts: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        home = self.settings.resolved_home()
        images = LocalImages(environments=self.settings.environments, source=home, cwd=home)
        self.engine = LocalEngine(home, images=images, capacity=Capacity(cpus=2.0))
        tools = Tools(
            settings=self.settings,
            database=self.database,
            engine=self.engine,
            shelf=lambda: open_storage(self.settings),
            api_answers=lambda: True,
        )
        self.reconciler = Reconciler(tools, build=self.build)

    def build(self, _: Tools, wanted: Wanted) -> dict[str, Any]:
        return manifest_of(workflow_name(wanted.job_id, wanted.number), **self.scripts)

    def create(self, **scripts: str) -> str:
        self.scripts = scripts
        job_id = new_job_id()
        with self.database.write() as session:
            job = create_job(session, id=job_id, created_at=utc_now())
            create_checkpoint(session, job, created_at=utc_now())
        return job_id

    def until(self, holds: Callable[[], bool]) -> None:
        """Steps engine and reconciler until something holds."""
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < deadline, "it never came to that"
            self.engine.step()
            self.reconciler.tick()

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def closed(self, job_id: str, number: int = 1) -> bool:
        with self.database.read() as session:
            return session.get_one(Attempt, (job_id, number)).closed

    def told(self, job_id: str) -> list[tuple[str, str]]:
        with self.database.read() as session:
            found = session.scalars(
                select(Event).where(Event.job_id == job_id, Event.kind == "step").order_by(Event.id)
            )
            return [(event.data["step"], event.event_type.removeprefix("step_")) for event in found]

    def log(self, job_id: str, name: str) -> str:
        return (self.settings.resolved_home() / "logs" / f"job-{job_id}" / "1" / name).read_text()


@pytest.fixture
def place(settings: Settings, database: Database) -> Iterator[Place]:
    made = Place(settings, database)
    yield made
    made.engine.close()


def test_a_job_runs_as_processes_and_ends_in_the_record(place: Place) -> None:
    job_id = place.create(train="echo epoch 1; echo epoch 2")
    place.until(lambda: place.closed(job_id))
    job = place.job(job_id)
    assert (job.state, job.reason) == (State.SUCCEEDED, Reason.COMPLETED)
    steps = [("download", "started"), ("download", "succeeded"), ("train", "started"), ("train", "succeeded")]
    assert place.told(job_id)[:4] == steps
    assert place.log(job_id, "train.0.log") == "epoch 1\nepoch 2\n"
    kept = place.settings.resolved_home() / "storage" / "logs" / f"job-{job_id}" / "attempt-1"
    assert {path.name for path in kept.iterdir()} >= {"download.log", "train.0.log", "report.log", "on-exit.log"}


def test_a_temporary_failure_is_tried_again_and_told(place: Place, tmp_path: Path) -> None:
    flag = tmp_path / "tried"
    job_id = place.create(train=f"test -e {flag} && exit 0; touch {flag}; echo no storage; exit 75")
    place.until(lambda: place.closed(job_id))
    assert place.job(job_id).state == State.SUCCEEDED
    words = [word for step, word in place.told(job_id) if step == "train"]
    assert words == ["started", "retrying", "started", "succeeded"]
    assert place.log(job_id, "train.0.log") == "no storage\n"


def test_an_exit_code_becomes_a_reason(place: Place) -> None:
    job_id = place.create(download="echo 'DATASET_ERROR: digits has no images' > $TERMINATION_LOG; exit 1")
    place.until(lambda: place.closed(job_id))
    job = place.job(job_id)
    assert (job.state, job.reason) == (State.FAILED, Reason.DATASET_ERROR)
    assert "digits has no images" in (job.message or "")
    assert "Cure:" in (job.message or "")


def test_a_cancel_ends_the_process(place: Place, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    job_id = place.create(download=f"echo $$ > {pid}; exec sleep 600")
    place.until(lambda: pid.exists() and bool(pid.read_text().strip()) and place.job(job_id).state == State.RUNNING)
    with place.database.write() as session:
        job = session.get_one(Job, job_id)
        job.cancel_requested_at = utc_now()
        move(session, job, State.CANCELLING, reason=Reason.USER, message="cancelled by user", at=utc_now())
    place.until(lambda: place.closed(job_id))
    assert place.job(job_id).state == State.CANCELLED
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_trainer_outlives_the_reconciler_and_is_found_again(place: Place, tmp_path: Path) -> None:
    go, runs = tmp_path / "go", tmp_path / "runs"
    wait = f"{sys.executable} -c \"import os,time\nwhile not os.path.exists('{go}'): time.sleep(0.02)\""
    job_id = place.create(train=f"echo run >> {runs}; {wait}; echo done")
    place.until(runs.exists)
    place.engine.close()
    place.start()
    go.touch()
    place.until(lambda: place.closed(job_id))
    assert place.job(job_id).state == State.SUCCEEDED
    assert runs.read_text() == "run\n"
    assert place.log(job_id, "train.0.log") == "done\n"
