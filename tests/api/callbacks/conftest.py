"""A running job, and a trainer that calls back with its token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.auth import issue_job_token
from api.db import Database
from api.models import Attempt, Checkpoint, Event, Heartbeat, Job
from api.settings import Settings
from tests.api.factories import NOW, create_job


class Trainer:
    """Calls back as one attempt of a job, and looks at what the records say of it."""

    def __init__(self, client: TestClient, database: Database, settings: Settings, job: Job, attempt: int) -> None:
        self.client, self.database, self.job = client, database, job
        self.token = issue_job_token(settings, job.id, attempt, NOW + timedelta(hours=1))
        self.attempt = attempt

    def call(self, what: str, body: Any = None, **headers: str) -> httpx.Response:
        """Posts to `/v1/jobs/{id}/…`; bytes are sent as they are."""
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.client.post(f"/v1/jobs/{self.job.id}/{what}", **sent, headers=self.headers | headers)

    def beat(self, **fields: Any) -> httpx.Response:
        """Sends one heartbeat with the job's trace."""
        return self.call("heartbeat", {"trace_id": self.job.trace_id} | fields)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def now(self) -> Job:
        """The job's row as it is now."""
        with self.database.read() as session:
            job = session.get(Job, self.job.id)
            assert job is not None
            return job

    def told(self) -> Attempt:
        """The attempt's row as it is now."""
        with self.database.read() as session:
            attempt = session.get(Attempt, (self.job.id, self.attempt))
            assert attempt is not None
            return attempt

    def beats(self) -> Sequence[Heartbeat]:
        return self._rows(Heartbeat, Heartbeat.seq)

    def events(self, event_type: str | None = None) -> Sequence[Event]:
        return [row for row in self._rows(Event, Event.id) if event_type in (None, row.event_type)]

    def checkpoints(self) -> dict[str, Checkpoint]:
        return {row.kind: row for row in self._rows(Checkpoint, Checkpoint.id)}

    def _rows(self, model: Any, order: Any) -> Sequence[Any]:
        with self.database.read() as session:
            return session.scalars(select(model).where(model.job_id == self.job.id).order_by(order)).all()


MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(client: TestClient, database: Database, settings: Settings) -> MakeTrainer:
    """Makes a job with the given values and the trainer of its current attempt, or of `speaks_for`."""

    def make(*, speaks_for: int | None = None, **values: Any) -> Trainer:
        with database.write() as session:
            job = create_job(session, **({"state": "running"} | values))
        return Trainer(client, database, settings, job, speaks_for or job.attempt)

    return make


@pytest.fixture
def trainer(make_trainer: MakeTrainer) -> Trainer:
    """The trainer of a job that runs."""
    return make_trainer()
