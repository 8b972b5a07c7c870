"""Makes records for tests: every factory fills what a test does not care about and writes real rows."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from api.models import Attempt, Checkpoint, Dataset, Event, Heartbeat, Job, Snapshot
from api.settings import Settings
from api.wake import Wake
from workflows.keys import new_job_id, new_trace_id, workflow_name

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
USER_TOKEN = "tiphys_test-token"
SPEC: dict[str, Any] = {
    "framework": "toy",
    "model": "toy",
    "dataset": "digits",
    "primary_metric": {"name": "val/mAP50-95", "mode": "max"},
}


def environment_of(settings: Settings) -> dict[str, str]:
    """Returns the variables that give another process a test's settings: where its home and its records are."""
    told = {"TIPHYS_HOME": str(settings.resolved_home())}
    if settings.database_url and settings.user_token:
        keys = {kid: key.get_secret_value() for kid, key in settings.signing_keys.items()}
        told["TIPHYS_DATABASE_URL"] = settings.database_url
        told["TIPHYS_USER_TOKEN"] = settings.user_token.get_secret_value()
        told["TIPHYS_SIGNING_KEYS"] = json.dumps(keys)
    return told


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        """Moves the time on and returns it."""
        self.now += timedelta(seconds=seconds)
        return self.now


def create_job(
    session: Session,
    *,
    id: str | None = None,
    state: str = "pending",
    attempt: int = 1,
    created_at: datetime = NOW,
    resume: bool = False,
    closed: bool = False,
    attempt_values: dict[str, Any] | None = None,
    **values: Any,
) -> Job:
    """Writes a job with its attempts (the current one takes `resume`, `closed` and `attempt_values`)."""
    job_id = id or new_job_id()
    defaults: dict[str, Any] = {
        "name": f"job-{job_id}",
        "project": None,
        "framework": "toy",
        "model": "toy",
        "task": "object_detection",
        "dataset": "digits",
        "dataset_uri": "file:///data/digits/",
        "spec": SPEC,
        "labels": {},
        "trace_id": new_trace_id(),
        "start": True,
        "updated_at": created_at,
    }
    job = Job(id=job_id, state=state, attempt=attempt, created_at=created_at, **(defaults | values))
    session.add(job)
    session.flush()
    for number in range(1, attempt + 1):
        current = number == attempt
        row: dict[str, Any] = {"resume": resume, "closed": closed} if current else {"state": "failed", "closed": True}
        row |= (attempt_values or {}) if current else {}
        name = workflow_name(job_id, number)
        session.add(Attempt(job_id=job_id, number=number, workflow_name=name, created_at=created_at, **row))
    session.flush()
    return job


def create_event(session: Session, job: Job, *, created_at: datetime = NOW, **values: Any) -> Event:
    """Writes one event of a job's current attempt."""
    defaults: dict[str, Any] = {
        "attempt": job.attempt,
        "kind": "trainer",
        "level": "info",
        "event_type": "training_started",
        "message": "training started",
        "data": {},
    }
    event = Event(job_id=job.id, created_at=created_at, **(defaults | values))
    session.add(event)
    session.flush()
    return event


def create_heartbeat(
    session: Session, job: Job, *, epoch: int = 1, step: int = -1, received_at: datetime = NOW, **values: Any
) -> Heartbeat:
    """Writes one heartbeat of a job's current attempt."""
    defaults: dict[str, Any] = {
        "attempt": job.attempt,
        "total_epochs": 10,
        "metrics": {"train/loss": 1.0 / (epoch + 2)},
    }
    beat = Heartbeat(job_id=job.id, epoch=epoch, step=step, received_at=received_at, **(defaults | values))
    session.add(beat)
    session.flush()
    return beat


def create_checkpoint(
    session: Session, job: Job, *, kind: str = "best", created_at: datetime = NOW, **values: Any
) -> Checkpoint:
    """Writes one checkpoint of a job's current attempt."""
    defaults: dict[str, Any] = {
        "attempt": job.attempt,
        "uri": f"file:///data/checkpoints/{job.id}/{kind}.pt",
        "size": 7,
        "sha256": "0" * 64,
        "epoch": 1,
        "metrics": {"val/mAP50-95": 0.5},
    }
    checkpoint = Checkpoint(job_id=job.id, kind=kind, created_at=created_at, **(defaults | values))
    session.add(checkpoint)
    session.flush()
    return checkpoint


def create_dataset(session: Session, *, id: str = "digits", created_at: datetime = NOW, **values: Any) -> Dataset:
    """Writes one registered dataset."""
    defaults: dict[str, Any] = {"name": id, "uri": f"file:///data/{id}/", "source": "reference"}
    dataset = Dataset(id=id, created_at=created_at, **(defaults | values))
    session.add(dataset)
    session.flush()
    return dataset


def create_snapshot(session: Session, *, id: str = "snap-1", created_at: datetime = NOW, **values: Any) -> Snapshot:
    """Writes one snapshot of a dataset."""
    defaults: dict[str, Any] = {
        "dataset_id": "digits",
        "version_hash": "sha256:" + "0" * 64,
        "layout": "D1",
        "task": "object_detection",
        "classes": [{"index": 0, "id": 1, "name": "one"}],
        "split": {"train": ["1"], "val": ["2"], "test": []},
        "counts": {"train": 1, "val": 1},
    }
    snapshot = Snapshot(id=id, created_at=created_at, **(defaults | values))
    session.add(snapshot)
    session.flush()
    return snapshot


class ArrivalWake(Wake):
    """A bell that tells a test who has begun to wait for it: from then on, ringing it is heard."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: asyncio.Queue[str] = asyncio.Queue()

    async def wait(self, job_id: str, *, seconds: float) -> None:
        self.arrived.put_nowait(job_id)
        await super().wait(job_id, seconds=seconds)
