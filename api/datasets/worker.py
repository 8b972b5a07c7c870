"""Works off the tasks of datasets, one at a time; a task that a killed process left behind is begun anew."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import case, select
from sqlalchemy.exc import SQLAlchemyError

from api.artifacts.storage import Storage
from api.datasets.commands import Plan, plan
from api.datasets.fetch import bring, let_go
from api.datasets.outcome import Outcome, failed, judged, record
from api.datasets.outputs import adopt_folder, keep
from api.datasets.program import (
    ProgramFailed,
    Stopped,
    environment,
    execute,
    result_of,
    steps_python,
)
from api.datasets.progress import Pace, Tick
from api.datasets.tasks import ENDED, OPEN
from api.db import Database
from api.errors import FULL, TiphysError
from api.models import Dataset, DatasetTask
from api.settings import Settings
from workflows.keys import dataset_outputs_prefix

log = logging.getLogger("tiphys.datasets")

TELL_EVERY = 0.4
"""Seconds between two writes of a task's progress, and two looks whether it was cancelled."""
KEEP_FOR = timedelta(days=7)
"""How long an ended task and what it made are kept."""
SWEEP_EVERY = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Work:
    """All of a task that its work needs."""

    id: str
    dataset_id: str
    kind: str
    options: dict[str, Any]
    uri: str
    split: dict[str, Any] | None
    other: tuple[str, str] | None
    """Id and URI of the dataset it is compared with."""


class DatasetWorker:
    """The one who works the tasks off; it keeps nothing in memory that a fresh one could not find again."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        storage: Callable[[], Storage],
        clock: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._clock = clock
        self._scratch = settings.resolved_home() / "scratch" / "datasets"
        self._swept: datetime | None = None

    def serve(self, stop: threading.Event) -> None:
        """Works until `stop` is set; what runs then is begun anew by the next one."""
        while not stop.is_set():
            worked = False
            try:
                worked = self.step(stop)
                self.sweep()
            except Exception:
                # The database away or the disk full: the next look begins anew, nothing is kept from this one.
                log.exception("the tasks of datasets cannot be worked off; tried again")
                stop.wait(5.0)
            if not worked:
                stop.wait(max(self._settings.tick, 0.05))

    def step(self, stop: threading.Event) -> bool:
        """Takes the oldest task that is open and works it off; False where there is none."""
        work = self._take()
        if work is None:
            return False
        holder = f"task-{work.id}"
        folder = self._scratch / work.id
        _end_orphan(folder)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            try:
                folder.mkdir(parents=True)
                outcome = self._run(work, folder, holder, stop)
            except Stopped:
                if stop.is_set():
                    return True  # not cancelled: this process ends, and the next one begins it anew
                outcome = Outcome(state="cancelled")
            except ProgramFailed as error:
                outcome = failed(error.code, error.message, error.cure)
            except TiphysError as error:
                outcome = failed(error.code, error.message, error.cure)
            except OSError as error:
                full = error.errno in FULL
                what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
                outcome = failed("disk_full" if full else "unavailable", what, "free what is short, and try again")
            except SQLAlchemyError:
                raise
            except Exception as error:
                log.exception("task %s of dataset %s", work.id, work.dataset_id)
                outcome = failed("crashed", f"{type(error).__name__}: {error}", "see the log of `tiphys up`")
            # First the room: what the task left may be all that keeps a full disk from taking the record of its end.
            shutil.rmtree(folder, ignore_errors=True)
            self._finish(work, outcome)
        finally:
            let_go(self._settings, holder)
            shutil.rmtree(folder, ignore_errors=True)
        return True

    def sweep(self) -> None:
        """Removes the scratch of tasks that are not open, and forgets those that ended long ago."""
        now = self._clock()
        if self._swept is not None and now - self._swept < SWEEP_EVERY:
            return
        with self._database.read() as session:
            at_work = set(session.scalars(select(DatasetTask.id).where(DatasetTask.state.in_(OPEN))))
            old = select(DatasetTask.id, DatasetTask.dataset_id).where(
                DatasetTask.state.in_(ENDED), DatasetTask.finished_at < now - KEEP_FOR
            )
            gone = session.execute(old).all()
        for folder in self._scratch.glob("*"):
            if folder.name not in at_work:
                _end_orphan(folder)
                shutil.rmtree(folder, ignore_errors=True)
        for task_id, dataset_id in gone:
            self._storage().delete_prefix(dataset_outputs_prefix(dataset_id, task_id))
            with self._database.write() as session:
                if (row := session.get(DatasetTask, task_id)) is not None:
                    session.delete(row)
        self._swept = now

    def _take(self) -> Work | None:
        with self._database.read() as session:
            if session.scalar(select(DatasetTask.id).where(DatasetTask.state.in_(OPEN)).limit(1)) is None:
                return None
        begun_first = case((DatasetTask.state == "running", 0), else_=1)
        with self._database.write() as session:
            query = select(DatasetTask).where(DatasetTask.state.in_(OPEN))
            task = session.scalar(query.order_by(begun_first, DatasetTask.created_at, DatasetTask.id).limit(1))
            if task is None:
                return None
            task.state, task.progress = "running", None
            task.started_at = task.started_at or self._clock()
            dataset = session.get_one(Dataset, task.dataset_id)
            other = session.get(Dataset, task.other_id) if task.other_id else None
            return Work(
                id=task.id,
                dataset_id=dataset.id,
                kind=task.kind,
                options=dict(task.options),
                uri=dataset.uri,
                split=dataset.split,
                other=(other.id, other.uri) if other else None,
            )

    def _run(self, work: Work, folder: Path, holder: str, stop: threading.Event) -> Outcome:
        told = _Told(self._database, work.id, stop)
        python = steps_python(self._settings.environments)

        def note(pid: int) -> None:
            _note_process(folder, pid)

        def root(dataset_id: str, uri: str, place: str) -> Path:
            return bring(
                self._settings,
                uri,
                dataset_id=dataset_id,
                work=folder / place,
                holder=holder,
                hear=told.hear,
                stop=told.stop,
                started=note,
            )

        here = root(work.dataset_id, work.uri, "fetched")
        other = root(*work.other, "fetched-other") if work.other else None
        wanted = plan(
            work.kind,
            here,
            options=work.options,
            work=folder,
            name=work.dataset_id,
            other=other,
            split=work.split,
        )
        ended = execute(
            # Contained: through a link in somebody's dataset nobody shall read the platform's own files.
            [python, "-m", "steps.convert", *wanted.words, "--contained", "--progress"],
            environment=environment(folder),
            cwd=folder,
            seconds=self._settings.dataset_task_timeout,
            hear=told.hear,
            stop=told.stop,
            started=note,
        )
        result = result_of(ended)
        outcome = judged(work.kind, ended.code, result, dataset_id=work.dataset_id)
        if outcome.state == "succeeded":
            self._keep(work, wanted, folder, result, outcome, told)
        return outcome

    def _keep(
        self, work: Work, wanted: Plan, folder: Path, result: dict[str, Any], outcome: Outcome, told: _Told
    ) -> None:
        storage, prefix = self._storage(), dataset_outputs_prefix(work.dataset_id, work.id)
        outcome.outputs = [
            keep(storage, made, prefix=prefix, hear=told.hear_or_stop) for made in wanted.made if made.path.exists()
        ]
        if work.kind == "fix" and work.options.get("register") and outcome.result is not None:
            out = folder / "out"
            if result.get("fixes") and out.is_dir():
                outcome.adopted = adopt_folder(
                    storage, out, dataset_id=work.dataset_id, task_id=work.id, hear=told.hear_or_stop
                )
            outcome.result["registered"] = outcome.adopted

    def _finish(self, work: Work, outcome: Outcome) -> None:
        replaced: str | None = None
        try:
            with self._database.write() as session:
                task, dataset = session.get(DatasetTask, work.id), session.get(Dataset, work.dataset_id)
                if task is None or dataset is None:
                    return
                if outcome.adopted and dataset.source == "repaired":
                    replaced = dataset.uri
                record(session, task, dataset, outcome, uri=work.uri, at=self._clock())
        except ProgramFailed as error:
            self._forget(outcome.adopted)
            self._finish(work, failed(error.code, error.message, error.cure))
            return
        self._forget(replaced)

    def _forget(self, uri: str | None) -> None:
        """Removes a copy in our own storage that no record names any more."""
        storage = self._storage()
        root = storage.target.uri("datasets/")
        if uri and uri.startswith(root) and uri != root and uri.endswith("/"):
            with self._database.read() as session:
                if session.scalar(select(Dataset.id).where(Dataset.uri == uri).limit(1)) is not None:
                    return  # the same task, worked off twice: the other one's record stands
            with contextlib.suppress(TiphysError):
                storage.delete_prefix("datasets/" + uri.removeprefix(root))


class _Told:
    """A task's record while it runs: progress goes in, a cancel comes out."""

    def __init__(self, database: Database, task_id: str, stop: threading.Event) -> None:
        self._database = database
        self._task_id = task_id
        self._end = stop
        self._pace = Pace()
        self._phase = ""
        self._due = 0.0
        self._looked = 0.0
        self._cancelled = False

    def hear(self, tick: Tick) -> None:
        told, now = self._pace.take(tick), time.monotonic()
        if tick.phase == self._phase and now < self._due and tick.done < tick.total:
            return
        if tick.phase == self._phase and now < self._due - TELL_EVERY + 0.1:
            return
        self._phase, self._due = tick.phase, now + TELL_EVERY
        with self._database.write() as session:
            if (task := session.get(DatasetTask, self._task_id)) is not None:
                task.progress = told

    def stop(self) -> bool:
        now = time.monotonic()
        if not self._cancelled and now - self._looked >= TELL_EVERY:
            self._looked = now
            query = select(DatasetTask.cancel_requested).where(DatasetTask.id == self._task_id)
            with self._database.read() as session:
                asked = session.scalar(query)
            self._cancelled = asked is None or asked
        return self._cancelled or self._end.is_set()

    def hear_or_stop(self, tick: Tick) -> None:
        self.hear(tick)
        if self.stop():
            raise Stopped


def _note_process(folder: Path, pid: int) -> None:
    """Writes down which process works here: a killed platform leaves it running, and its successor ends it."""
    with contextlib.suppress(psutil.Error):
        told = {"pid": pid, "create_time": psutil.Process(pid).create_time()}
        (folder / "process.json").write_text(json.dumps(told))


def _end_orphan(folder: Path) -> None:
    try:
        told = json.loads((folder / "process.json").read_bytes())
        process = psutil.Process(told["pid"])
        if abs(process.create_time() - told["create_time"]) > 0.01:
            return  # another one has that number by now
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return
