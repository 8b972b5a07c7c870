"""A reconciler on a scripted engine, with the moves of users, trainers and time beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import select

from api.artifacts.stored import Listed
from api.db import Database
from api.errors import NotFound
from api.jobs.status import Reason, State, move
from api.models import Attempt, Event, Job
from api.reconciler.loop import Reconciler
from api.reconciler.submit import Build, Wanted
from api.reconciler.tools import Tools
from api.settings import Settings
from tests.api.factories import Clock, create_checkpoint, create_job
from tests.api.reconciler.scripted import ScriptedEngine, tiny_manifest
from workflows.keys import new_job_id, workflow_name


class Folder:
    """A shelf in memory that can be away."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.away = False

    def write_file(self, key: str, source: Path | BinaryIO) -> None:
        self._there()
        self.kept[key] = source.read_bytes() if isinstance(source, Path) else source.read()

    def list(self, prefix: str) -> list[Listed]:
        self._there()
        found = [(key.removeprefix(prefix), key, len(self.kept[key])) for key in self.kept if key.startswith(prefix)]
        return [Listed(*item) for item in sorted(found)]

    def open_read(self, uri: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        self._there()
        if uri not in self.kept:
            raise NotFound(uri)
        yield self.kept[uri][start:end]

    def delete(self, key: str) -> None:
        self._there()
        self.kept.pop(key, None)

    def _there(self) -> None:
        if self.away:
            raise OSError("storage is away")


class Bench:
    """Everything around one reconciler; `restart` is what a crash leaves: the same records, an empty memory."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        *,
        engine: ScriptedEngine | None = None,
        shelf: Any = None,
        build: Build | None = None,
    ) -> None:
        self.settings, self.database, self.clock = settings, database, clock
        self.engine = engine or ScriptedEngine(clock)
        self.shelf = shelf or Folder()
        self._own_build = build
        self.api_there = True
        self.builds: list[Wanted] = []
        self.restart()

    def restart(self) -> None:
        self.tools = Tools(
            settings=self.settings,
            database=self.database,
            engine=self.engine,
            shelf=lambda: self.shelf,
            api_answers=lambda: self.api_there,
            clock=self.clock,
        )
        self.reconciler = Reconciler(self.tools, build=self._own_build or self.build)

    def build(self, _: Tools, wanted: Wanted) -> dict[str, Any]:
        self.builds.append(wanted)
        return tiny_manifest(workflow_name(wanted.job_id, wanted.number))

    def tick(self, times: int = 1, *, seconds: float = 0.5) -> None:
        """Looks some times, with time going by after each look."""
        for _ in range(times):
            self.reconciler.tick()
            self.clock.advance(seconds)

    def create(self, **values: Any) -> str:
        """Records a pending job; returns its workflow's name."""
        job_id = values.pop("id", None) or new_job_id()
        with self.database.write() as session:
            create_job(session, id=job_id, created_at=values.pop("created_at", self.clock()), **values)
        return workflow_name(job_id, int(values.get("attempt", 1)))

    def running(self, step: str = "train", **values: Any) -> str:
        """Records a job and brings it to where a step runs."""
        name = self.create(**values)
        self.tick()
        self.engine.until(name, step)
        self.tick()
        return name

    def job(self, name: str) -> Job:
        with self.database.read() as session:
            job = session.get(Job, job_id_of(name))
            assert job is not None
            return job

    def attempt(self, name: str) -> Attempt:
        with self.database.read() as session:
            return session.scalars(select(Attempt).where(Attempt.workflow_name == name)).one()

    def events(self, name: str, *, kind: str | None = None) -> list[Event]:
        with self.database.read() as session:
            found = select(Event).where(Event.job_id == job_id_of(name)).order_by(Event.id)
            return [event for event in session.scalars(found) if kind in (None, event.kind)]

    def told(self, name: str, kind: str) -> list[str]:
        return [event.event_type for event in self.events(name, kind=kind)]

    # What users and trainers do.

    def cancel(self, name: str) -> None:
        """As the API does: at once where nothing was handed over, else through cancelling."""
        with self.database.write() as session:
            job = session.get_one(Job, job_id_of(name))
            if job.state in (State.QUEUED, State.RUNNING, State.PENDING):
                job.cancel_requested_at = self.clock()
                to = State.CANCELLED if job.state == State.PENDING else State.CANCELLING
                move(session, job, to, reason=Reason.USER, message="cancelled by user", at=self.clock())

    def retry(self, name: str, *, resume: bool = True) -> str:
        with self.database.write() as session:
            job = session.get_one(Job, job_id_of(name))
            job.attempt += 1
            job.cancel_requested_at = job.last_heartbeat_at = None
            made = workflow_name(job.id, job.attempt)
            session.add(
                Attempt(job_id=job.id, number=job.attempt, workflow_name=made, resume=resume, created_at=self.clock())
            )
            session.flush()
            move(session, job, State.PENDING, reason=Reason.RETRIED, message="retried", at=self.clock())
        return made

    def heartbeat(self, name: str) -> None:
        with self.database.write() as session:
            session.get_one(Job, job_id_of(name)).last_heartbeat_at = self.clock()

    def checkpoint(self, name: str) -> None:
        with self.database.write() as session:
            create_checkpoint(session, session.get_one(Job, job_id_of(name)), created_at=self.clock())

    def done(self, name: str, status: str, **body: Any) -> None:
        with self.database.write() as session:
            row = session.scalars(select(Attempt).where(Attempt.workflow_name == name)).one()
            if row.done_status is None:
                row.done_status, row.done, row.done_at = status, {"status": status, **body}, self.clock()


def job_id_of(name: str) -> str:
    return name.split("-")[1]
