"""Listing jobs: newest first, page by page, narrowed down by filters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.db import Database
from api.models import Attempt, Job
from api.platform import Platform
from tests.api.factories import NOW, create_checkpoint, create_job

JOBS = "/api/v1/training/jobs"


def ids(client: TestClient, query: str = "") -> list[str]:
    answer = client.get(f"{JOBS}{query}")
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["items"]]


@pytest.fixture
def three(database: Database) -> None:
    with database.write() as session:
        rows: list[dict[str, Any]] = [
            {"id": "aaaaaaaa", "state": "succeeded", "project": "one", "labels": {"team": "vision", "a.b": "1"}},
            {"id": "bbbbbbbb", "state": "failed", "project": "two", "model": "softmax", "labels": {"team": "sound"}},
            {"id": "cccccccc", "state": "running", "framework": "ultralytics", "dataset": "bolts", "name": "100%_sure"},
        ]
        for number, row in enumerate(rows):
            create_job(session, created_at=NOW + timedelta(seconds=number), **row)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "cba"),
        ("?state=failed", "b"),
        ("?state=failed&state=running", "cb"),
        ("?state=completed", "a"),  # the older word
        ("?state=stopped", ""),
        ("?project=one", "a"),
        ("?framework=ultralytics", "c"),
        ("?model=softmax", "b"),
        ("?dataset=bolts", "c"),
        ("?label=team%3Dvision", "a"),
        ("?label=team%3Dvision&label=a.b%3D1", "a"),
        ("?label=team%3Dvision&label=a.b%3D2", ""),
        ("?q=SOFT", "b"),
        ("?q=%25_s", "c"),
        ("?q=_", "c"),  # a sign to be found, not a placeholder
        ("?q=bbbb", "b"),
        ("?state=failed&project=one", ""),
    ],
)
def test_filters_narrow_it_down_together(client: TestClient, three: None, query: str, expected: str) -> None:
    assert ids(client, query) == [letter * 8 for letter in expected]


def test_pages_tell_each_job_once_while_new_ones_come(client: TestClient, database: Database) -> None:
    with database.write() as session:
        made = [create_job(session, created_at=NOW + timedelta(seconds=n // 3)).id for n in range(10)]  # ties, too
    seen: list[str] = []
    query = "?limit=3"
    while True:
        page = client.get(f"{JOBS}{query}").json()
        assert len(page["items"]) <= 3
        seen += [job["id"] for job in page["items"]]
        if page["next_cursor"] is None:
            break
        with database.write() as session:
            create_job(session, created_at=NOW + timedelta(hours=1))
        query = f"?limit=3&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(made)
    assert len(seen) == 10


def test_the_last_page_says_that_it_is_the_last(client: TestClient, three: None) -> None:
    assert client.get(f"{JOBS}?limit=3").json()["next_cursor"] is None
    assert client.get(f"{JOBS}?limit=2").json()["next_cursor"] is not None
    assert client.get(f"{JOBS}?q=nothing").json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("?state=sleeping", 422, "use one of: pending"),
        ("?label=team", 422, "key=value"),
        ("?label=%22%3D1", 422, "key=value"),
        ("?limit=0", 422, "limit"),
        ("?limit=201", 422, "limit"),
        ("?colour=red", 422, "colour"),
        ("?cursor=x", 400, "next_cursor"),
        ("?cursor=" + "MjAyNi0xMS0yMSBh", 400, "next_cursor"),  # a date without an hour and offset
    ],
)
def test_a_filter_that_says_nothing_is_refused(client: TestClient, query: str, status: int, words: str) -> None:
    answer = client.get(f"{JOBS}{query}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.text


def test_the_primary_metric_is_the_best_checkpoints(client: TestClient, database: Database) -> None:
    name = "val/mAP50-95"
    with database.write() as session:
        best = create_job(
            session, created_at=NOW + timedelta(seconds=3), metrics={name: 0.1}, final_metrics={name: 0.2}
        )
        create_checkpoint(session, best, metrics={name: 0.9})
        create_job(session, created_at=NOW + timedelta(seconds=2), metrics={name: 0.1}, final_metrics={name: 0.2})
        create_job(session, created_at=NOW + timedelta(seconds=1), metrics={name: 0.0}, final_metrics={name: None})
        create_job(session, created_at=NOW, metrics={"other": 1.0})
    items = client.get(JOBS).json()["items"]
    assert [job["primary_metric"]["value"] for job in items] == [0.9, 0.2, 0.0, None]


def test_a_list_does_not_carry_what_only_one_job_shows(client: TestClient, three: None) -> None:
    (job,) = client.get(f"{JOBS}?limit=1").json()["items"]
    assert {"spec", "steps", "links", "eta_seconds"}.isdisjoint(job)
    full = client.get(f"{JOBS}/{job['id']}").json()
    assert {**full, **job} == full
    assert full["links"]["logs"] == f"{JOBS}/{job['id']}/logs"


def test_a_job_leads_to_its_workflow_in_argos_ui_wherever_new_ones_go(
    app: FastAPI, client: TestClient, platform: Platform, database: Database, three: None
) -> None:
    (job,) = client.get(f"{JOBS}?limit=1").json()["items"]
    there = {"engine": "argo", "argo_ui": "https://argo.example/", "argo_namespace": "others"}
    assert "argo" not in client.get(f"{JOBS}/{job['id']}").json()["links"]
    app.state.platform = replace(platform, settings=platform.settings.model_copy(update=there))
    before = client.get(f"{JOBS}/{job['id']}").json()  # a record that does not say where it runs
    assert before["links"]["argo"] == f"https://argo.example/workflows/others/{before['workflow_name']}"
    with database.write() as session:
        session.get_one(Attempt, (job["id"], job["attempt"])).place = "argo/jobs@u-1"
    found = client.get(f"{JOBS}/{job['id']}").json()
    assert found["links"]["argo"] == f"https://argo.example/workflows/jobs/{found['workflow_name']}"


def test_a_name_in_another_script_is_kept(client: TestClient, database: Database) -> None:
    with database.write() as session:
        job: Job = create_job(session, name="数字 – première")
    assert client.get(f"{JOBS}/{job.id}").json()["name"] == "数字 – première"
