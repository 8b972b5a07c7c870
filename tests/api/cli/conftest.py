"""Runs the command line in this process, as `tiphys` does, against no API, a scripted one, or the real one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.cli.main import run
from api.settings import SOURCE
from tests.api.datasets.conftest import document, write_dataset

URL = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Tiphys = Callable[..., Said]


@pytest.fixture
def tiphys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tiphys:
    """The command on a home folder of the test's own; it never shows a traceback."""
    for name in ("TIPHYS_URL", "TIPHYS_USER_TOKEN", "TIPHYS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def command(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["tiphys", "--home", str(tmp_path / "home"), *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            run()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Said(int(ended.value.code or 0), printed.out, printed.err)

    return command


@pytest.fixture
def up(tmp_path: Path) -> Path:
    """A home folder that says an API is at an address; returns the folder."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    (home / "api.json").write_text(json.dumps({"url": URL}))
    (home / "token").write_text("tiphys_test-token")
    return home


@pytest.fixture
def online(up: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The real API behind that address."""
    monkeypatch.setattr(httpx, "Client", lambda **_: client)
    return client


@pytest.fixture
def answering(up: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[httpx.Response], None]:
    """Something else behind that address, which answers as it is told."""
    real = httpx.Client

    def answer(response: httpx.Response) -> None:
        transport = httpx.MockTransport(lambda _: response)
        monkeypatch.setattr(httpx, "Client", lambda **options: real(**options, transport=transport))

    return answer


real = pytest.mark.skipif(
    not (SOURCE / ".venvs" / "steps" / "bin" / "python").exists(), reason="the steps' environment is not set up"
)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A sound dataset, whose folder has a dot in its name."""
    return write_dataset(tmp_path / "parts.v2", document())


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A dataset with a box outside, and many labels of a class that is not there."""
    told = document(12)
    told["annotations"][3]["bbox"] = [30, 2, 10, 10]
    for annotation in told["annotations"][5:]:
        annotation["category_id"] = 99
    return write_dataset(tmp_path / "broken", told)


@pytest.fixture
def mendable(tmp_path: Path) -> Path:
    """A dataset whose one fault has a cure that needs nobody's judgement."""
    told = document()
    told["annotations"][3]["bbox"] = [1, 2, -3, 4]
    return write_dataset(tmp_path / "mendable", told)
