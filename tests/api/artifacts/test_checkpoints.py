"""Listing and fetching checkpoints, from a folder and from a bucket."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.artifacts.storage import Storage
from api.db import Database
from api.models import Job
from api.platform import Platform
from tests.api.factories import create_checkpoint, create_job
from workflows.keys import checkpoints_prefix

JOBS = "/api/v1/training/jobs"
WEIGHTS = b"weights" * 1000


@pytest.fixture
def job(database: Database) -> Job:
    with database.write() as session:
        return create_job(session, state="running")


@pytest.fixture
def served(app: FastAPI, platform: Platform, storage: Storage, client: TestClient) -> TestClient:
    """A client of a platform that keeps its files in the storage under test."""
    app.state.platform = replace(platform, storage=storage)
    client.follow_redirects = False
    return client


def save(storage: Storage, database: Database, job: Job, kind: str = "best", **values: object) -> str:
    stored = storage.write_file(f"{checkpoints_prefix(None, job.id)}{kind}.pt", io.BytesIO(WEIGHTS))
    with database.write() as session:
        create_checkpoint(
            session, job, kind=kind, **{"uri": stored.uri, "size": stored.size, "sha256": stored.sha256} | values
        )
    return stored.uri


def test_checkpoints_are_listed(served: TestClient, storage: Storage, database: Database, job: Job) -> None:
    assert served.get(f"{JOBS}/{job.id}/checkpoints").json() == {"items": []}
    uri = save(storage, database, job)
    save(storage, database, job, "last")
    best, last = served.get(f"{JOBS}/{job.id}/checkpoints").json()["items"]
    assert (best["kind"], last["kind"]) == ("best", "last")
    assert (best["uri"], best["size"], best["epoch"]) == (uri, len(WEIGHTS), 1)
    assert best["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert best["metrics"] == {"val/mAP50-95": 0.5}


def test_a_checkpoint_is_fetched_whole(served: TestClient, storage: Storage, database: Database, job: Job) -> None:
    save(storage, database, job)
    answer = served.get(f"{JOBS}/{job.id}/checkpoints/best")
    if answer.status_code == 307:  # a bucket sends its own, to whoever has the address
        assert httpx.get(answer.headers["location"]).content == WEIGHTS
        answer = served.get(f"{JOBS}/{job.id}/checkpoints/best?redirect=false")
    assert (answer.status_code, answer.content) == (200, WEIGHTS)
    assert answer.headers["content-length"] == str(len(WEIGHTS))
    assert answer.headers["x-content-sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert answer.headers["content-disposition"] == f'attachment; filename="{job.id}-best.pt"'


def test_a_download_can_go_on_where_it_broke_off(
    client: TestClient, platform: Platform, database: Database, job: Job
) -> None:
    save(platform.storage, database, job)
    answer = client.get(f"{JOBS}/{job.id}/checkpoints/best", headers={"Range": "bytes=6990-"})
    assert (answer.status_code, answer.content) == (206, WEIGHTS[6990:])


def test_one_that_was_never_saved(served: TestClient, storage: Storage, database: Database, job: Job) -> None:
    answer = served.get(f"{JOBS}/{job.id}/checkpoints/best")
    assert (answer.status_code, "none yet" in answer.json()["cure"]) == (404, True)
    save(storage, database, job, "last")
    answer = served.get(f"{JOBS}/{job.id}/checkpoints/best")
    assert (answer.status_code, answer.json()["cure"]) == (404, "it has: last")


def test_one_whose_file_is_gone(served: TestClient, storage: Storage, database: Database, job: Job) -> None:
    uri = save(storage, database, job)
    storage.delete_prefix(checkpoints_prefix(None, job.id))
    answer = served.get(f"{JOBS}/{job.id}/checkpoints/best")
    assert answer.status_code == 404
    assert uri in answer.json()["detail"]


@pytest.mark.parametrize("place", ["file:///etc/passwd", "s3://another/best.pt", "/etc/passwd", "http://host/best.pt"])
def test_a_record_cannot_make_us_hand_out_another_file(
    served: TestClient, database: Database, job: Job, place: str
) -> None:
    with database.write() as session:
        create_checkpoint(session, job, uri=place)
    answer = served.get(f"{JOBS}/{job.id}/checkpoints/best")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert place in answer.json()["detail"]


def test_nor_can_a_link_in_storage(client: TestClient, platform: Platform, database: Database, job: Job) -> None:
    root = Path(platform.storage.target.root or "")
    (root / "best.pt").symlink_to("/etc/passwd")
    with database.write() as session:
        create_checkpoint(session, job, uri=platform.storage.target.uri("best.pt"))
    assert client.get(f"{JOBS}/{job.id}/checkpoints/best").status_code == 409
