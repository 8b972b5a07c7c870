"""What a Prometheus reads: a form it understands, true counts, nothing of anybody's job."""

from __future__ import annotations

import os
import re

import pytest
from fastapi.testclient import TestClient

from api.db import Database
from api.main import create_app
from api.platform import Platform
from api.settings import Settings
from tests.api.factories import Clock, create_job

LINE = re.compile(r'([a-z_]+)(?:\{([a-z]+)="([^"]*)"\})? ([0-9.]+)')


def read(client: TestClient) -> dict[tuple[str, str], float]:
    """The samples by name and label; every line must be one that Prometheus' text format has."""
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[tuple[str, str], float] = {}
    typed: set[str] = set()
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        if line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        assert match, line
        assert match[1] in typed, f"{match[1]} has no TYPE"
        found[match[1], match[3] or ""] = float(match[4])
    return found


def test_jobs_and_attempts_are_counted_without_a_token(client: TestClient, database: Database) -> None:
    client.headers.pop("Authorization")
    with database.write() as session:
        create_job(session, state="running")
        create_job(session, state="running", attempt=2)
        create_job(session, state="succeeded", closed=True)
    found = read(client)
    assert found["tiphys_jobs", "running"] == 2
    assert found["tiphys_jobs", "succeeded"] == 1
    assert found["tiphys_jobs", "failed"] == 0
    assert found["tiphys_attempts_open", ""] == 2
    assert found["tiphys_info", "0.1.0"] == 1


def test_the_reconcilers_last_look_has_an_age(client: TestClient, platform: Platform, clock: Clock) -> None:
    assert ("tiphys_reconciler_last_look_seconds", "") not in read(client)
    mark = platform.settings.resolved_home() / "reconciler.alive"
    mark.touch()
    os.utime(mark, (clock().timestamp(), clock().timestamp()))
    clock.advance(7)
    assert read(client)["tiphys_reconciler_last_look_seconds", ""] == pytest.approx(7)


def test_without_a_database_it_says_so(settings: Settings, clock: Clock) -> None:
    app = create_app(settings, database=Database("sqlite:////nonexistent/folder/tiphys.db"), clock=clock)
    answer = TestClient(app).get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    app.state.platform.database.close()
