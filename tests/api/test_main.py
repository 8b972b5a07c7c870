"""The API as a whole: errors in one form, its document, its door, its probes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from api.db import Database
from api.errors import StorageFull
from api.main import create_app
from api.platform import Platform
from api.problems import PROBLEM_SCHEMA
from api.settings import Settings
from tests.api.factories import Clock, create_job

JOBS = "/api/v1/training/jobs"
PROBLEM = "application/problem+json"
PROBES = ("/health", "/ready")
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def for_trainers(operation: dict[str, Any]) -> bool:
    return any(tag.startswith("callbacks") for tag in operation["tags"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/api/v1/training/nothing", 404, "not_found"),
        ("PUT", "/health", 405, "method_not_allowed"),
        ("PATCH", JOBS, 405, "method_not_allowed"),
        ("GET", f"{JOBS}?limit=many", 422, "invalid"),
        ("GET", f"{JOBS}/zzzzzzzz", 404, "not_found"),
    ],
)
def test_every_error_is_a_problem(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    Draft202012Validator(PROBLEM_SCHEMA).validate(problem)
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:tiphys:problem:{code}"


def test_another_method_says_which_there_are(client: TestClient) -> None:
    answer = client.put("/health")
    assert answer.headers["allow"] == "GET"
    assert answer.json()["cure"] == "use GET"


def test_a_fault_of_ours_shows_no_traceback(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("api.jobs.listing.get_job", broken)
    token = app.state.platform.settings.user_token.get_secret_value()
    with TestClient(app, raise_server_exceptions=False, headers={"Authorization": f"Bearer {token}"}) as client:
        answer = client.get(f"{JOBS}/zzzzzzzz")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["content-type"] == PROBLEM
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text


def test_nobody_gets_in_without_the_token(client: TestClient, document: dict[str, Any]) -> None:
    client.headers.pop("Authorization")
    asked = 0
    for path, method, _ in operations(document):
        if path in PROBES:
            continue
        answer = client.request(method, re.sub(r"\{\w+\}", "zzzzzzzz", path), headers={"Authorization": "Bearer wrong"})
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["content-type"] == PROBLEM
        asked += 1
    assert asked > 20


def test_the_document_says_what_it_must(document: dict[str, Any]) -> None:
    assert (document["info"]["title"], document["info"]["version"]) == ("Tiphys", "0.1.0")
    assert document["info"]["description"]
    assert document["components"]["schemas"]["Problem"] == PROBLEM_SCHEMA
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(names) == sorted(set(names))
    tags = {tag["name"] for tag in document["tags"]}
    schemes = document["components"]["securitySchemes"]
    assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer"}
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert set(operation["tags"]) <= tags, where
        if path in PROBES:
            assert "security" not in operation, where
        elif not for_trainers(operation):
            assert operation["security"], where
            assert "401" in operation["responses"], where
        for status, response in operation["responses"].items():
            if status >= "400" and not for_trainers(operation):
                assert list(response["content"]) == [PROBLEM], f"{where} {status}"


def test_every_reference_in_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    found = set(re.findall(r'"#/components/schemas/([^"]+)"', str(document).replace("'", '"')))
    assert found <= set(schemas)
    assert {"JobSpec", "JobView", "DryRun", "Problem"} <= found


def test_the_names_of_operations_are_stable(document: dict[str, Any]) -> None:
    names = {operation["operationId"] for _, _, operation in operations(document)}
    expected = (
        "create_job list_jobs get_job delete_job start_job cancel_job retry_job list_events list_metrics get_workflow "
        "read_logs stream_job list_checkpoints download_checkpoint list_frameworks get_framework list_models get_model "
        "health ready callback_heartbeat callback_event callback_done"
    )
    assert set(expected.split()) <= names


def test_an_answer_is_as_the_document_says(client: TestClient, document: dict[str, Any], database: Database) -> None:
    with database.write() as session:
        job = create_job(session)
    text = str(document["components"]["schemas"]["JobView"]["required"])
    assert set(client.get(f"{JOBS}/{job.id}").json()) == set(re.findall(r"'(\w+)'", text))


def test_health_asks_nobody(client: TestClient, database: Database) -> None:
    client.headers.pop("Authorization")
    database.engine.dispose()
    assert client.get("/health").json() == {"status": "ok", "version": "0.1.0"}


@pytest.fixture
def mark(platform: Platform, clock: Clock) -> Path:
    """The reconciler's mark, fresh."""
    path = platform.settings.resolved_home() / "reconciler.alive"
    path.touch()
    os.utime(path, (clock().timestamp(), clock().timestamp()))
    return path


@pytest.mark.sqlite_only
def test_ready_when_everything_is_there(client: TestClient, mark: Path) -> None:
    client.headers.pop("Authorization")
    answer = client.get("/ready")
    assert answer.status_code == 200
    assert set(answer.json()["checks"]) == {"database", "migrations", "storage", "reconciler"}
    assert all(check["ok"] for check in answer.json()["checks"].values())


def test_ready_for_a_probe_that_asks_for_less(client: TestClient) -> None:
    answer = client.get("/ready", params={"check": ["database", "migrations"]})
    assert answer.status_code == 200
    assert set(answer.json()["checks"]) == {"database", "migrations"}
    assert client.get("/ready", params={"check": "weather"}).status_code == 422


def not_ready(client: TestClient) -> dict[str, Any]:
    answer = client.get("/ready")
    assert (answer.status_code, answer.headers["content-type"]) == (503, PROBLEM)
    faults = {name: check["message"] for name, check in answer.json()["checks"].items() if not check["ok"]}
    for name, message in faults.items():
        assert f"{name}: {message}" in answer.json()["detail"]
    return faults


@pytest.mark.sqlite_only
def test_not_ready_without_a_reconciler(client: TestClient, mark: Path, clock: Clock) -> None:
    clock.advance(14)
    assert client.get("/ready").status_code == 200
    clock.advance(2)
    assert "last seen 16 s ago" in not_ready(client)["reconciler"]
    mark.unlink()
    faults = not_ready(client)
    assert list(faults) == ["reconciler"]
    assert "never seen" in faults["reconciler"]
    assert "tiphys up" in faults["reconciler"]


def test_a_schema_that_a_newer_replica_has_made_is_ready(client: TestClient, database: Database) -> None:
    """While replicas are replaced one after the other, the old ones go on."""
    with database.write_connection() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '2999_01_01_a_newer_one'")
    answer = client.get("/ready?check=migrations")
    assert (answer.status_code, "newer" in answer.text) == (200, True)


@pytest.mark.sqlite_only
def test_not_ready_with_an_older_schema(client: TestClient, mark: Path, database: Database) -> None:
    older = "2026_11_21_create_the_records"
    with database.write_connection() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{older}'")
    faults = not_ready(client)
    assert list(faults) == ["migrations"]
    assert older in faults["migrations"]


@pytest.mark.sqlite_only
def test_not_ready_with_a_full_disk(
    client: TestClient, platform: Platform, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise StorageFull("no room left for a small file", cure="free some space")

    monkeypatch.setattr(type(platform.storage), "probe", full)
    assert not_ready(client) == {"storage": "no room left for a small file; free some space"}


@pytest.mark.sqlite_only
def test_not_ready_without_a_database(settings: Settings, mark: Path, clock: Clock) -> None:
    app = create_app(settings, database=Database("sqlite:////nonexistent/folder/tiphys.db"), clock=clock)
    client = TestClient(app)  # without its lifespan, which would have refused to begin
    assert set(not_ready(client)) == {"database", "migrations"}
    app.state.platform.database.close()


def test_a_first_start_makes_everything_it_needs(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path / "new"))
    token = (tmp_path / "new" / "token").read_text()
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
        assert client.get(JOBS).json() == {"items": [], "next_cursor": None}


def test_a_second_start_keeps_what_there_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    tokens = set()
    for _ in range(2):
        app = create_app(Settings(home=home))
        token = app.state.platform.settings.user_token.get_secret_value()
        tokens.add(token)
        with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
            client.get(JOBS)
    assert len(tokens) == 1
