"""`tiphys up` and `tiphys down`: which address they take, and what they say of a broken home folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient

from api.cli import serve
from api.cli.fault import Exit
from api.db import Database
from api.settings import DEFAULT_PORT, Settings
from tests.api.cli.conftest import URL, Tiphys
from tests.api.factories import NOW, create_job


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings `tiphys up` would have served with."""
    seen: list[Settings] = []

    def remember(settings: Settings, *, announce: Callable[[Settings], Any]) -> None:
        seen.append(settings)
        announce(settings)

    monkeypatch.setattr(serve, "serve", remember)
    for name in ("TIPHYS_HOST", "TIPHYS_PORT"):
        monkeypatch.delenv(name, raising=False)
    return seen


def test_the_port_is_the_one_asked_for_else_the_environments_else_the_last(
    tiphys: Tiphys, up: Path, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiphys("up")
    (up / "port").write_text("8200")
    tiphys("up")
    monkeypatch.setenv("TIPHYS_PORT", "8300")
    tiphys("up")
    tiphys("up", "--port", "8400")
    assert [settings.port for settings in served] == [DEFAULT_PORT, 8200, 8300, 8400]


def test_the_host_is_the_one_asked_for_else_the_environments(
    tiphys: Tiphys, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiphys("up")
    monkeypatch.setenv("TIPHYS_HOST", "0.0.0.0")
    tiphys("up")
    tiphys("up", "--host", "::1")
    assert [settings.host for settings in served] == ["127.0.0.1", "0.0.0.0", "::1"]


def test_it_says_where_it_is(tiphys: Tiphys, served: list[Settings]) -> None:
    said = tiphys("up", "--port", "8400")
    assert said.code == Exit.OK
    assert "http://127.0.0.1:8400" in said.out
    assert tiphys("up", "--port", "8400", "--json").json["url"] == "http://127.0.0.1:8400"


def test_a_broken_database_is_named(tiphys: Tiphys, up: Path) -> None:
    (up / "tiphys.db").write_bytes(b"this is no database, however long one looks at it" * 100)
    said = tiphys("up", "--port", "0")
    assert said.code == Exit.FAILED
    assert "tiphys.db cannot be used: file is not a database" in said.err


def test_broken_signing_keys_are_named(tiphys: Tiphys, up: Path) -> None:
    (up / "keys.json").write_text("{")
    said = tiphys("up", "--port", "0")
    assert said.code == Exit.FAILED
    assert "keys.json" in said.err


def test_a_home_that_is_a_file_is_named(tiphys: Tiphys, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    for words in (("up",), ("up", "-d"), ("jobs",)):
        said = tiphys(*words)
        assert said.code in (Exit.FAILED, Exit.UNREACHABLE)
        assert str(tmp_path / "home") in said.err


@pytest.fixture
def alive(up: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that the home folder names as its platform."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    created = psutil.Process(process.pid).create_time()
    (up / "api.json").write_text(
        json.dumps({"url": URL, "pid": process.pid, "create_time": created, "started_at": created})
    )
    yield process
    process.kill()
    process.communicate()


def test_down_without_a_platform_is_no_error(tiphys: Tiphys, up: Path) -> None:
    (up / "api.json").write_text(json.dumps({"url": "u", "pid": 2**30, "create_time": 0, "started_at": 0}))
    said = tiphys("down")
    assert (said.code, said.err) == (Exit.OK, "")
    assert f"No Tiphys is up in {up}" in said.out
    assert tiphys("down", "--json").json == {"ended": None, "running": [], "waiting": []}


def test_down_names_the_jobs_that_go_on_and_those_that_wait(
    tiphys: Tiphys, online: TestClient, database: Database, alive: subprocess.Popen[bytes]
) -> None:
    with database.write() as session:
        for number, state in enumerate(("running", "cancelling", "queued", "succeeded")):
            create_job(session, id=f"job{number}", state=state, created_at=NOW + timedelta(seconds=number))
    said = tiphys("down")
    assert said.code == Exit.OK
    assert alive.poll() is not None
    assert said.out.splitlines()[1:] == [
        "2 jobs go on: job1, job0; the next `tiphys up` finds them.",
        "1 job waits: job2; the next `tiphys up` finds it.",
    ]


def test_down_as_json_lists_the_jobs(
    tiphys: Tiphys, online: TestClient, database: Database, alive: subprocess.Popen[bytes]
) -> None:
    with database.write() as session:
        create_job(session, id="abcdefgh", state="running")
    assert tiphys("down", "--json").json == {"ended": alive.pid, "running": ["abcdefgh"], "waiting": []}


def test_down_ends_a_platform_that_does_not_answer(
    tiphys: Tiphys, up: Path, alive: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPHYS_URL", "http://elsewhere:1")
    said = tiphys("down")
    assert said.code == Exit.OK
    assert alive.poll() is not None
    assert "Which jobs go on it did not say" in said.out
    assert "TIPHYS_URL (http://elsewhere:1) does not count here" in said.err
    assert f"ends that of the home folder {up}" in said.err
