"""The API as a process of its own, as a container runs it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.settings import SOURCE

DEADLINE = 30.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    home = str(tmp_path / "home")
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "TIPHYS_HOME": home, "TIPHYS_PORT": port}


@pytest.fixture
def process(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "api"]
    child = subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    with child:
        yield child
        child.kill()


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE)


def test_it_serves_and_ends_at_sigterm(environment: dict[str, str], process: subprocess.Popen[str]) -> None:
    url = f"http://127.0.0.1:{environment['TIPHYS_PORT']}"
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            assert httpx.get(f"{url}/health").json()["status"] == "ok"
            break
        except httpx.TransportError:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
    # Nobody reconciles here, and the API can do its own part all the same.
    assert httpx.get(f"{url}/ready").status_code == 503
    assert httpx.get(f"{url}/ready", params={"check": ["database", "migrations"]}).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0


def test_a_port_that_is_taken_is_said(environment: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environment["TIPHYS_PORT"])))
        taken.listen()
        ended = run(environment)
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{environment['TIPHYS_PORT']}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_migrate_brings_the_schema_up_to_date_and_ends(environment: dict[str, str], tmp_path: Path) -> None:
    database = tmp_path / "records.db"
    wanted = environment | {"TIPHYS_DATABASE_URL": f"sqlite:///{database}"}
    for _ in range(2):
        ended = run(wanted, "--migrate")
        assert ended.returncode == 0, ended.stderr
    assert database.exists()


def test_a_database_that_is_away_is_said_without_its_password(environment: dict[str, str]) -> None:
    keys = {"TIPHYS_USER_TOKEN": "t0k3n", "TIPHYS_SIGNING_KEYS": '{"kid": "key"}'}
    away = {"TIPHYS_DATABASE_URL": "postgresql://tiphys:hunter2@127.0.0.1:1/records"}
    for words in ((), ("--migrate",)):
        ended = run(environment | keys | away, *words)
        assert ended.returncode == 1
        assert "cannot be used" in ended.stderr
        assert "cure:  check TIPHYS_DATABASE_URL" in ended.stderr
        assert "hunter2" not in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_setting_that_is_wrong_is_named_without_its_value(environment: dict[str, str]) -> None:
    ended = run(environment | {"TIPHYS_PORT": "tcp://10.0.0.1:8137"})
    assert ended.returncode == 2
    assert "TIPHYS_PORT is wrong" in ended.stderr
    assert "10.0.0.1" not in ended.stderr


def test_a_home_that_cannot_be_made_is_said(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = run(environment | {"TIPHYS_HOME": str(tmp_path / "file" / "home")})
    assert ended.returncode == 1
    assert "cannot be used" in ended.stderr
    assert "cure:  mount a volume there" in ended.stderr
    assert "Traceback" not in ended.stderr
