"""Submitting jobs: what is recorded, what is refused, and that a repeat is the same job."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from api.db import Database
from api.jobs import service
from api.jobs.dataset import choose
from api.models import Attempt, Dataset, Event, Job
from tests.api.factories import NOW, create_dataset, create_event, create_job, create_snapshot
from workflows.keys import is_job_id

JOBS = "/api/v1/training/jobs"
Body = dict[str, Any]


def job_count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def test_a_job_is_recorded_with_every_default_and_its_first_attempt(
    client: TestClient, database: Database, request_body: Body, folder: Path
) -> None:
    answer = client.post(JOBS, json=request_body | {"labels": {"team": "vision"}, "project": "reading"})
    assert answer.status_code == 201
    job = answer.json()
    assert is_job_id(job["id"])
    assert answer.headers["location"] == f"{JOBS}/{job['id']}"
    expected = {
        "name": f"softmax-{job['id']}",
        "project": "reading",
        "framework": "toy",
        "model": "softmax",
        "task": "object_detection",
        "dataset": str(folder),
        "dataset_uri": f"file://{folder}/",
        "labels": {"team": "vision"},
        "attempt": 1,
        "state": "pending",
        "reason": "user",
        "created_at": "2026-11-21T12:00:00Z",
        "total_epochs": 3,
        "primary_metric": {"name": "val/accuracy", "mode": "max", "value": None},
        "workflow_name": f"train-{job['id']}-1",
    }
    assert {key: job[key] for key in expected} == expected
    assert job["spec"]["hyperparameters"] == {"epochs": 3, "batch": 64, "learning_rate": 0.5, "seed": 0}
    assert [step["name"] for step in job["steps"]] == ["download", "convert", "train", "upload", "report"]
    assert {step["phase"] for step in job["steps"]} == {"Pending"}
    with database.read() as session:
        attempt = session.get_one(Attempt, (job["id"], 1))
        assert (attempt.workflow_name, attempt.resume, attempt.closed) == (job["workflow_name"], False, False)
        (event,) = session.scalars(select(Event).where(Event.job_id == job["id"]))
        assert (event.kind, event.event_type, event.created_at) == ("state", "pending", NOW)
    assert client.get(answer.headers["location"]).json() == job


def test_the_same_job_as_yaml(client: TestClient, request_body: Body) -> None:
    text = yaml.safe_dump(request_body | {"name": "from yaml"})
    answer = client.post(JOBS, content=text, headers={"Content-Type": "application/yaml; charset=utf-8"})
    assert (answer.status_code, answer.json()["name"]) == (201, "from yaml")
    assert answer.json()["spec"]["hyperparameters"]["epochs"] == 3


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"hyperparameters": {"epochs": 0}}, "hyperparameters.epochs", "1"),
        ({"model": "softmaks"}, "model", "softmax"),
        ({"framework": "toi"}, "framework", "toy"),
        ({"colour": "red"}, "colour", ""),
        ({"dataset": ""}, "dataset", ""),
    ],
)
def test_a_wrong_field_is_named_with_its_cure(
    client: TestClient, database: Database, request_body: Body, change: Body, field: str, words: str
) -> None:
    answer = client.post(JOBS, json=request_body | change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid"
    (error,) = [error for error in problem["errors"] if error["field"] == field]
    assert error["message"]
    assert error["cure"]
    assert words in error["message"] + error["cure"]
    assert job_count(database) == 0


def test_every_wrong_field_is_told_at_once(client: TestClient, request_body: Body) -> None:
    answer = client.post(JOBS, json=request_body | {"hyperparameters": {"epochs": 0, "batch": 0}, "colour": "red"})
    fields = {error["field"] for error in answer.json()["errors"]}
    assert {"hyperparameters.epochs", "hyperparameters.batch", "colour"} <= fields


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "bad_request"),
        (b"[1]", "application/json", 422, "invalid"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b"\xff: 1", "application/yaml", 400, "bad_request"),
        (b"a: [", "application/yaml", 422, "invalid"),
        (b"a: &x [1]\nb: *x", "application/yaml", 422, "invalid"),
        (b"<job/>", "application/xml", 415, "unsupported_media_type"),
        (b'{"name": "' + b"x" * (1 << 20) + b'"}', "application/json", 413, "too_large"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_as_a_problem(
    client: TestClient, content: bytes, kind: str, status: int, code: str
) -> None:
    answer = client.post(JOBS, content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"labels": {"a": "\\ud800"}, %s}', "application/json"),
        (b'{"labels": {"a": "\xed\xa0\x80"}, %s}', "application/json"),
        (b'{"labels": {"a": "\\ud800"}, %s}', "application/yaml"),
    ],
)
def test_half_a_character_is_refused_before_any_list_has_to_tell_it(
    client: TestClient, request_body: Body, content: bytes, kind: str
) -> None:
    body = content % json.dumps(request_body)[1:-1].encode()
    answer = client.post(JOBS, content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert client.get(JOBS).json()["items"] == []


def test_a_body_without_a_length_is_counted_as_it_comes(client: TestClient) -> None:
    def pieces() -> Any:
        for _ in range(20):
            yield b" " * (1 << 16)

    answer = client.post(JOBS, content=pieces(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_repeat_with_the_same_key_is_the_same_job(client: TestClient, database: Database, request_body: Body) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post(JOBS, json=request_body, headers=headers)
    # The same request in other words: keys in another order, a default written out.
    again = dict(reversed(request_body.items())) | {"labels": {}}
    second = client.post(JOBS, content=json.dumps(again), headers=headers | {"Content-Type": "application/json"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert job_count(database) == 1


def test_a_repeat_is_answered_even_when_the_dataset_is_gone(
    client: TestClient, request_body: Body, folder: Path
) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post(JOBS, json=request_body, headers=headers)
    (folder / "annotations.json").unlink()
    folder.rmdir()
    second = client.post(JOBS, json=request_body, headers=headers)
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])


@pytest.mark.parametrize(("change", "query"), [({"name": "other"}, ""), ({}, "?start=false")])
def test_the_same_key_for_another_request_is_a_conflict(
    client: TestClient, database: Database, request_body: Body, change: Body, query: str
) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post(JOBS, json=request_body, headers=headers).json()
    answer = client.post(JOBS + query, json=request_body | change, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert answer.json()["job_id"] == first["id"]
    assert job_count(database) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "tab\there"])
def test_a_key_that_is_none_is_refused(client: TestClient, request_body: Body, key: str) -> None:
    answer = client.post(JOBS, json=request_body, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_many_at_once_with_one_key_make_one_job(client: TestClient, database: Database, request_body: Body) -> None:
    def submit(_: int) -> tuple[int, str]:
        answer = client.post(JOBS, json=request_body, headers={"Idempotency-Key": "one"})
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(submit, range(16)))
    assert sorted(status for status, _ in answers) == [200] * 15 + [201]
    assert len({job_id for _, job_id in answers}) == 1
    assert job_count(database) == 1


def test_jobs_without_a_key_are_jobs_of_their_own(client: TestClient, database: Database, request_body: Body) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(JOBS, json=request_body).status_code, range(16)))
    assert answers == [201] * 16
    assert job_count(database) == 16


def test_the_longest_name_of_a_model_makes_no_longer_name_of_a_job(client: TestClient, request_body: Body) -> None:
    named = request_body | {"framework": "custom", "model": "m" * 128, "image": "x:1", "command": ["true"]}
    answer = client.post(JOBS, json=named)
    assert answer.status_code == 201, answer.text
    assert len(answer.json()["name"]) == 128
    assert answer.json()["name"].endswith(answer.json()["id"])


def test_recording_a_job_does_not_load_the_workflow_builder(settings: Any, folder: Path) -> None:
    """Hera in the API's process would be a third of a second and 30 MB that no submit needs."""
    import subprocess

    code = f"""
import sys
from fastapi.testclient import TestClient
from api.main import create_app
from api.settings import Settings
app = create_app(Settings(home={str(settings.home)!r}))
token = app.state.platform.settings.user_token.get_secret_value()
with TestClient(app, headers={{"Authorization": f"Bearer {{token}}"}}) as client:
    body = {{"framework": "toy", "model": "softmax", "dataset": {str(folder)!r}}}
    assert client.post({JOBS!r}, json=body).status_code == 201
assert "hera" not in sys.modules, "hera was imported"
assert "boto3" not in sys.modules, "boto3 was imported"
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


SNAPSHOT = "snap_0123456789ab"


@pytest.fixture
def pinned(database: Database, folder: Path) -> dict[str, Any]:
    """A request for a registered dataset on one of its snapshots."""
    with database.write() as session:
        create_dataset(session, id="digits", uri=f"file://{folder}/", split={"method": "auto", "ratio": [0.5, 0.5]})
        create_snapshot(session, id=SNAPSHOT, dataset_id="digits", version_hash="dsv1:" + "a" * 64)
        create_dataset(session, id="letters", uri=f"file://{folder}/")
        create_snapshot(session, id="snap_ffffffffffff", dataset_id="letters")
    return {"framework": "toy", "dataset": "digits", "snapshot": SNAPSHOT}


def test_a_job_trains_on_an_earlier_snapshot(client: TestClient, database: Database, pinned: Body) -> None:
    job = client.post(JOBS, json=pinned).json()
    assert (job["snapshot_id"], job["spec"]["snapshot"]) == (SNAPSHOT, SNAPSHOT)
    assert job["spec"]["split"]["method"] == "use_dataset", "the snapshot divides it, not the dataset's own split"
    with database.write() as session:
        told = {"conversion": {"proof": {"lossless": True}}}
        create_event(session, session.get_one(Job, job["id"]), event_type="dataset_converted", data=told)
    shown = client.get(f"{JOBS}/{job['id']}").json()
    assert shown["snapshot"]["images"] == {"train": 1, "val": 1, "test": 0}
    assert shown["snapshot"]["version_hash"].startswith("dsv1:aaaa")
    assert shown["conversion"] == told["conversion"]
    plan = client.post(JOBS, params={"dry_run": True}, json=pinned).json()
    environment = next(t for t in plan["manifest"]["spec"]["templates"] if t["name"] == "convert")["container"]["env"]
    assert {"name": "SNAPSHOT_ID", "value": SNAPSHOT} in environment


@pytest.mark.parametrize(
    ("snapshot", "said", "cure"),
    [
        ("snap_999999999999", "there is no snapshot snap_999999999999", SNAPSHOT),
        ("snap_ffffffffffff", "is of dataset 'letters'", "dataset: letters"),
    ],
)
def test_a_snapshot_that_is_not_the_datasets_is_refused(
    client: TestClient, database: Database, pinned: Body, snapshot: str, said: str, cure: str
) -> None:
    answer = client.post(JOBS, json=pinned | {"snapshot": snapshot})
    assert (answer.status_code, answer.json()["code"]) == (422, "snapshot_unknown")
    assert said in answer.json()["detail"]
    assert cure in answer.json()["cure"]
    assert job_count(database) == 0


def test_the_same_data_below_a_second_id_has_the_same_snapshot(
    client: TestClient, database: Database, pinned: Body
) -> None:
    letters = pinned | {"dataset": "letters"}
    assert client.post(JOBS, json=letters).status_code == 422
    with database.write() as session:
        create_job(session, dataset="letters", snapshot_id=SNAPSHOT)
    assert client.post(JOBS, json=letters).json()["snapshot_id"] == SNAPSHOT
    listed = client.get("/api/v1/datasets/letters/snapshots").json()["items"]
    assert {item["id"] for item in listed} == {SNAPSHOT, "snap_ffffffffffff"}
    assert client.get(f"/api/v1/datasets/letters/snapshots/{SNAPSHOT}").status_code == 200


def test_a_snapshot_outlives_its_dataset(client: TestClient, database: Database, pinned: Body) -> None:
    with database.write() as session:
        session.delete(session.get_one(Dataset, "digits"))
    answer = client.post(JOBS, json=pinned | {"dataset": "letters"})
    assert (answer.status_code, answer.json()["snapshot_id"]) == (201, SNAPSHOT)


@pytest.mark.parametrize("change", [{"deleting": True}, {"uri": "file:///elsewhere/"}])
def test_a_dataset_that_goes_while_a_job_is_made_takes_none(
    client: TestClient, database: Database, pinned: Body, monkeypatch: pytest.MonkeyPatch, change: Body
) -> None:
    def choose_then_change(*args: Any) -> Any:
        chosen = choose(*args)
        with database.write() as session:
            session.execute(update(Dataset).where(Dataset.id == pinned["dataset"]).values(change))
        return chosen

    monkeypatch.setattr(service, "choose", choose_then_change)
    answer = client.post(JOBS, json=pinned)
    assert (answer.status_code, "deleted or replaced" in answer.json()["detail"]) == (422, True)
    assert job_count(database) == 0
