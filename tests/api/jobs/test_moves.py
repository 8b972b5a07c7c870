"""Starting, cancelling, retrying and deleting jobs."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from api.artifacts.storage import Storage
from api.db import Database
from api.errors import Unavailable
from api.jobs.files import log_folder
from api.models import Attempt, Checkpoint, Event, Heartbeat, Job
from api.platform import Platform
from tests.api.factories import (
    NOW,
    Clock,
    create_checkpoint,
    create_dataset,
    create_event,
    create_heartbeat,
    create_job,
)
from workflows.keys import checkpoints_prefix, logs_prefix

JOBS = "/api/v1/training/jobs"


def make(database: Database, **values: Any) -> str:
    with database.write() as session:
        return create_job(session, **values).id


def attempt_of(database: Database, job_id: str, number: int = 1) -> Attempt:
    with database.read() as session:
        return session.get_one(Attempt, (job_id, number))


def test_a_job_waits_until_it_is_started(client: TestClient, database: Database, request_body: dict[str, Any]) -> None:
    job = client.post(f"{JOBS}?start=false", json=request_body).json()
    assert (job["start"], job["message"]) == (False, "waiting for /start")
    started = client.post(f"{JOBS}/{job['id']}/start")
    assert (started.status_code, started.json()["start"], started.json()["state"]) == (200, True, "pending")
    assert client.post(f"{JOBS}/{job['id']}/start").status_code == 200
    with database.read() as session:
        events = session.scalars(select(Event.event_type).where(Event.job_id == job["id"], Event.kind == "platform"))
        assert list(events) == ["start_requested"]  # told once


@pytest.mark.parametrize("state", ["queued", "running", "cancelling", "succeeded", "failed", "cancelled"])
def test_only_a_pending_job_can_be_started(client: TestClient, database: Database, state: str) -> None:
    answer = client.post(f"{JOBS}/{make(database, state=state)}/start")
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_move")
    assert state in answer.json()["detail"]
    assert answer.json()["cure"]


def test_a_pending_job_is_cancelled_at_once(client: TestClient, database: Database) -> None:
    job_id = make(database)
    answer = client.post(f"{JOBS}/{job_id}/cancel")
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["reason"]) == ("cancelled", "user")
    assert answer.json()["finished_at"] == "2026-11-21T12:00:00Z"
    assert attempt_of(database, job_id).closed


def test_a_job_on_its_way_to_the_engine_is_left_for_the_reconciler_to_close(
    client: TestClient, database: Database
) -> None:
    job_id = make(database, attempt_values={"manifest": {"kind": "Workflow"}})
    assert client.post(f"{JOBS}/{job_id}/cancel").json()["state"] == "cancelled"
    assert not attempt_of(database, job_id).closed


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_in_the_engine_is_asked_to_stop_once(
    client: TestClient, database: Database, clock: Clock, state: str
) -> None:
    job_id = make(database, state=state)
    assert client.post(f"{JOBS}/{job_id}/cancel").json()["state"] == "cancelling"
    clock.advance(30)
    assert client.post(f"{JOBS}/{job_id}/cancel").json()["state"] == "cancelling"
    with database.read() as session:
        job = session.get_one(Job, job_id)
        assert job.cancel_requested_at == NOW  # the grace is counted from the first time
        assert len(session.scalars(select(Event).where(Event.job_id == job_id)).all()) == 1
    assert not attempt_of(database, job_id).closed


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_an_ended_job_cannot_be_cancelled(client: TestClient, database: Database, state: str) -> None:
    answer = client.post(f"{JOBS}/{make(database, state=state)}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_move")
    assert f"is {state}" in answer.json()["detail"]
    assert answer.json()["cure"]


@pytest.mark.parametrize(("query", "resume"), [("", True), ("?resume=true", True), ("?resume=false", False)])
@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_retry_is_a_new_attempt_of_the_same_job(
    client: TestClient, database: Database, state: str, query: str, resume: bool
) -> None:
    job_id = make(
        database,
        state=state,
        closed=True,
        epoch=4,
        progress=40.0,
        metrics={"a": 1},
        final_metrics={"a": 1},
        finished_at=NOW,
        cancel_requested_at=NOW,
        last_heartbeat_at=NOW,
    )
    job = client.post(f"{JOBS}/{job_id}/retry{query}").json()
    assert (job["id"], job["attempt"], job["state"], job["reason"]) == (job_id, 2, "pending", "retried")
    assert job["workflow_name"] == f"train-{job_id}-2"
    gone = ("epoch", "progress", "metrics", "final_metrics", "finished_at")
    assert [job[name] for name in gone] == [None] * 5
    attempt = attempt_of(database, job_id, 2)
    assert (attempt.resume, attempt.closed, attempt.state) == (resume, False, None)
    with database.read() as session:
        row = session.get_one(Job, job_id)
        assert (row.cancel_requested_at, row.last_heartbeat_at, row.start) == (None, None, True)
        assert session.scalars(select(Event.attempt).where(Event.job_id == job_id)).all() == [2]


def test_a_retry_finds_its_dataset_where_it_lies_now(client: TestClient, database: Database) -> None:
    job_id = make(database, state="failed", closed=True)
    with database.write() as session:
        create_dataset(session, id="digits", uri="file:///data/digits-repaired/")
    job = client.post(f"{JOBS}/{job_id}/retry").json()
    assert job["dataset_uri"] == "file:///data/digits-repaired/"


@pytest.mark.parametrize("state", ["pending", "queued", "running", "cancelling", "succeeded"])
def test_nothing_else_can_be_retried(client: TestClient, database: Database, state: str) -> None:
    job_id = make(database, state=state)
    answer = client.post(f"{JOBS}/{job_id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_move")
    assert answer.json()["cure"]
    assert client.get(f"{JOBS}/{job_id}").json()["attempt"] == 1


def put_away(platform: Platform, job_id: str) -> None:
    """Leaves files of a job wherever files of jobs lie."""
    folder = log_folder(platform.settings, job_id, 1)
    folder.mkdir(parents=True)
    (folder / "train.log").write_text("epoch 1\n")
    for key in (f"{logs_prefix(job_id)}attempt-1/train.log", f"{checkpoints_prefix(None, job_id)}best.pt"):
        platform.storage.write_file(key, folder / "train.log")


@pytest.mark.parametrize(("query", "kept"), [("", True), ("?checkpoints=true", False)])
def test_deleting_takes_records_and_logs_and_checkpoints_only_if_told(
    client: TestClient, platform: Platform, database: Database, query: str, kept: bool
) -> None:
    job_id, other = make(database, state="succeeded", closed=True), make(database, state="succeeded", closed=True)
    for each in (job_id, other):
        put_away(platform, each)
        with database.write() as session:
            job = session.get_one(Job, each)
            for create in (create_event, create_heartbeat, create_checkpoint):
                create(session, job)
    answer = client.delete(f"{JOBS}/{job_id}{query}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(f"{JOBS}/{job_id}").status_code == 404
    with database.read() as session:
        for table in (Attempt, Event, Heartbeat, Checkpoint):
            assert {row.job_id for row in session.scalars(select(table))} == {other}
    storage = platform.storage
    assert not log_folder(platform.settings, job_id).exists()
    assert storage.list(logs_prefix(job_id)) == []
    assert [f.name for f in storage.list(checkpoints_prefix(None, job_id))] == (["best.pt"] if kept else [])
    assert log_folder(platform.settings, other, 1).joinpath("train.log").exists()
    assert len(storage.list(logs_prefix(other))) == len(storage.list(checkpoints_prefix(None, other))) == 1


@pytest.mark.parametrize("state", ["pending", "queued", "running", "cancelling"])
def test_a_job_that_has_not_ended_is_not_deleted(client: TestClient, database: Database, state: str) -> None:
    job_id = make(database, state=state)
    answer = client.delete(f"{JOBS}/{job_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "cancel" in answer.json()["cure"]
    assert client.get(f"{JOBS}/{job_id}").status_code == 200


def test_a_job_whose_attempt_is_still_open_is_not_deleted(client: TestClient, database: Database) -> None:
    answer = client.delete(f"{JOBS}/{make(database, state='failed', closed=False)}")
    assert (answer.status_code, answer.json()["cure"]) == (409, "try again in a few seconds")


def test_a_job_stays_where_its_files_cannot_be_deleted(
    client: TestClient, platform: Platform, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Storage, prefix: str) -> int:
        raise Unavailable(f"storage cannot be reached for {prefix}")

    monkeypatch.setattr(type(platform.storage), "delete_prefix", away)
    job_id = make(database, state="failed", closed=True)
    assert client.delete(f"{JOBS}/{job_id}").status_code == 503
    assert client.get(f"{JOBS}/{job_id}").status_code == 200  # and can be deleted again


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/start"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", ""), ("GET", "")]
)
def test_an_unknown_job_is_named(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, f"{JOBS}/zzzzzzzz{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "zzzzzzzz" in answer.json()["detail"]
