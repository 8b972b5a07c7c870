"""Reading what became of a job: events, metrics over the epochs, the workflow, the time that is left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.db import Database
from tests.api.factories import NOW, Clock, create_event, create_heartbeat, create_job

JOBS = "/api/v1/training/jobs"


def test_events_come_oldest_first_and_page_by_page(client: TestClient, database: Database) -> None:
    with database.write() as session:
        job, other = create_job(session), create_job(session)
        for number in range(5):
            create_event(session, job, message=f"m{number}")
            create_event(session, other, message="another job's")
    page = client.get(f"{JOBS}/{job.id}/events?limit=3").json()
    assert [event["message"] for event in page["items"]] == ["m0", "m1", "m2"]
    rest = client.get(f"{JOBS}/{job.id}/events?limit=3&after={page['next_cursor']}").json()
    assert [event["message"] for event in rest["items"]] == ["m3", "m4"]
    assert rest["next_cursor"] is None


def test_events_by_kind_and_level(client: TestClient, database: Database) -> None:
    with database.write() as session:
        job = create_job(session)
        create_event(session, job, kind="trainer", level="error", message="a")
        create_event(session, job, kind="platform", level="warning", message="b")
    for query, message in (("kind=trainer", "a"), ("kind=platform", "b"), ("level=error", "a"), ("level=warning", "b")):
        items = client.get(f"{JOBS}/{job.id}/events?{query}").json()["items"]
        assert [event["message"] for event in items] == [message]
    assert client.get(f"{JOBS}/{job.id}/events?kind=other").status_code == 422


def points(client: TestClient, job_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"{JOBS}/{job_id}/metrics{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_an_epochs_metrics_are_the_latest_of_each(client: TestClient, database: Database) -> None:
    with database.write() as session:
        job = create_job(session)
        create_heartbeat(session, job, epoch=1, step=10, metrics={"loss": 2.0, "lr": 0.1})
        create_heartbeat(
            session, job, epoch=1, step=20, metrics={"loss": 0.0, "nan": None}, received_at=NOW + timedelta(1)
        )
        create_heartbeat(session, job, epoch=-1, step=-1, metrics=None)
        create_heartbeat(session, job, epoch=2, step=-1, metrics={"loss": 0.5})
    first, second = points(client, job.id)
    assert (first["epoch"], first["step"]) == (1, 20)
    assert first["metrics"] == {"loss": 0.0, "lr": 0.1, "nan": None}
    assert first["received_at"] == "2026-11-22T12:00:00Z"
    assert (second["epoch"], second["step"], second["metrics"]) == (2, None, {"loss": 0.5})


def test_a_long_series_is_read_to_its_end(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.queries.PAGE", 3)
    with database.write() as session:
        job = create_job(session)
        for epoch in range(1, 12):
            create_heartbeat(session, job, epoch=epoch, step=1, metrics={"loss": 2.0})
            create_heartbeat(session, job, epoch=epoch, step=2, metrics={"loss": 1.0 / epoch})
    assert [p["metrics"]["loss"] for p in points(client, job.id)] == [1.0 / epoch for epoch in range(1, 12)]


def test_a_resumed_attempt_goes_on_with_the_series_and_a_fresh_one_begins_anew(
    client: TestClient, database: Database
) -> None:
    with database.write() as session:
        resumed = create_job(session, attempt=2, resume=True)
        fresh = create_job(session, attempt=2, resume=False)
        for job in (resumed, fresh):
            for epoch in (1, 2, 3):
                create_heartbeat(session, job, attempt=1, epoch=epoch, metrics={"loss": 10.0 + epoch})
            create_heartbeat(session, job, attempt=2, epoch=3, metrics={"loss": 0.3})
    told = [(p["attempt"], p["epoch"], p["metrics"]["loss"]) for p in points(client, resumed.id)]
    assert told == [(1, 1, 11.0), (1, 2, 12.0), (2, 3, 0.3)]
    assert [(p["attempt"], p["epoch"]) for p in points(client, fresh.id)] == [(2, 3)]
    assert [p["epoch"] for p in points(client, fresh.id, "?attempt=1")] == [1, 2, 3]
    assert client.get(f"{JOBS}/{fresh.id}/metrics?attempt=9").status_code == 404


def test_every_heartbeat_as_a_point_page_by_page(client: TestClient, database: Database) -> None:
    with database.write() as session:
        job = create_job(session)
        for step in range(5):
            create_heartbeat(session, job, epoch=1, step=step)
    page = client.get(f"{JOBS}/{job.id}/metrics?by=step&limit=3").json()
    assert [point["step"] for point in page["items"]] == [0, 1, 2]
    rest = client.get(f"{JOBS}/{job.id}/metrics?by=step&limit=3&after={page['next_cursor']}").json()
    assert ([point["step"] for point in rest["items"]], rest["next_cursor"]) == ([3, 4], None)


def test_the_workflow_of_each_attempt(client: TestClient, database: Database) -> None:
    manifest, status = {"kind": "Workflow"}, {"phase": "Running"}
    with database.write() as session:
        job = create_job(session, attempt=2, attempt_values={"manifest": manifest, "workflow_status": status})
    answer = client.get(f"{JOBS}/{job.id}/workflow").json()
    assert answer == {"attempt": 2, "workflow_name": f"train-{job.id}-2", "manifest": manifest, "status": status}
    first = client.get(f"{JOBS}/{job.id}/workflow?attempt=1").json()
    assert (first["manifest"], first["status"]) == (None, None)
    missing = client.get(f"{JOBS}/{job.id}/workflow?attempt=3")
    assert (missing.status_code, missing.json()["cure"]) == (404, "it has attempts 1 to 2")


def test_the_time_left_comes_from_the_pace_so_far(client: TestClient, database: Database, clock: Clock) -> None:
    with database.write() as session:
        job = create_job(session, state="running")
        for epoch in (3, 4, 5):  # resumed at 3: what came before says nothing of the pace
            create_heartbeat(
                session, job, epoch=epoch, total_epochs=10, received_at=NOW + timedelta(seconds=60 * epoch)
            )
    clock.now = NOW + timedelta(seconds=60 * 5 + 20)
    assert client.get(f"{JOBS}/{job.id}").json()["eta_seconds"] == 280.0


@pytest.mark.parametrize(
    ("state", "epochs", "total"),
    [("running", (3,), 10), ("succeeded", (1, 2), 10), ("running", (1, 2), None), ("running", (), 10)],
)
def test_without_a_pace_there_is_no_time_left(
    client: TestClient, database: Database, state: str, epochs: tuple[int, ...], total: int | None
) -> None:
    with database.write() as session:
        job = create_job(session, state=state)
        for epoch in epochs:
            create_heartbeat(session, job, epoch=epoch, total_epochs=total, received_at=NOW + timedelta(seconds=epoch))
    assert client.get(f"{JOBS}/{job.id}").json()["eta_seconds"] is None


@pytest.mark.parametrize("path", ["events", "metrics", "workflow", "logs", "stream", "checkpoints", "checkpoints/best"])
def test_of_an_unknown_job_there_is_nothing(client: TestClient, path: str) -> None:
    answer = client.get(f"{JOBS}/zzzzzzzz/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
