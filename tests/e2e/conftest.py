"""The whole product as processes: `tiphys up` on a home folder of its own, spoken to by its own command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

REPO = Path(__file__).parents[2]
TIPHYS = Path(sys.executable).with_name("tiphys")
TERMINAL = {"succeeded", "failed", "cancelled"}


@dataclass
class Platform:
    """One home folder and what runs on it."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def tiphys(self, *words: object, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run the command line on this home folder."""
        done = subprocess.run(
            [TIPHYS, "--home", self.home, *map(str, words)],
            capture_output=True, text=True, timeout=timeout, cwd=self.home.parent,
            env=os.environ | {"TERM": "dumb", "COLUMNS": "200"} | self.environment,
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"tiphys {words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *words: object, **options: Any) -> Any:
        """Run the command line with --json and read what it prints."""
        return json.loads(self.tiphys(*words, "--json", **options).stdout)

    def up(self) -> dict[str, Any]:
        return self.json("up", "-d", "--port", self.port)

    def down(self) -> None:
        self.tiphys("down", check=False)

    @property
    def url(self) -> str:
        return str(json.loads((self.home / "api.json").read_text())["url"])

    @property
    def pid(self) -> int:
        return int(json.loads((self.home / "api.json").read_text())["pid"])

    def http(self) -> httpx.Client:
        token = (self.home / "token").read_text().strip()
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def submit(self, body: dict[str, Any]) -> str:
        with self.http() as http:
            answer = http.post("/api/v1/training/jobs", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.json("job", "show", job_id))

    def until(self, job_id: str, seen: Callable[[dict[str, Any]], Any], *, seconds: float = 90) -> dict[str, Any]:
        """Wait for a job to be as told; the processes are real, so the time is too."""
        deadline = time.monotonic() + seconds
        with self.http() as http:
            while True:
                job: dict[str, Any] = http.get(f"/api/v1/training/jobs/{job_id}").json()
                if seen(job):
                    return job
                late = time.monotonic() > deadline
                if late or job["state"] in TERMINAL:
                    logs = self.tiphys("job", "logs", job_id, check=False).stdout[-2000:]
                    raise AssertionError(f"waited for something else than {json.dumps(job, indent=1)}\n{logs}")
                time.sleep(0.1)  # between two looks at a real process

    def ended(self, job_id: str, *, seconds: float = 90) -> dict[str, Any]:
        """Wait until a job has ended."""
        return self.until(job_id, lambda job: job["state"] in TERMINAL, seconds=seconds)


def end_trainers(home: Path) -> None:
    """Leave no process of this home folder behind, whatever a test did to its parents."""
    for process in psutil.process_iter():
        try:
            if any(str(home) in value for value in process.environ().values()) and process.pid != os.getpid():
                process.kill()
        except psutil.Error:
            continue


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that is up, shared by the tests of one file."""
    made = Platform(tmp_path_factory.mktemp("e2e") / "home")
    made.up()
    yield made
    made.down()
    end_trainers(made.home)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Platform]:
    """A home folder of its own, with nothing up yet."""
    made = Platform(tmp_path / "home")
    yield made
    made.down()
    end_trainers(made.home)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small DICE dataset of real handwritten digits."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    script = REPO / "workflows" / "examples" / "make_digits.py"
    subprocess.run([sys.executable, script, folder, "--scenes", "24", "8"], check=True, capture_output=True)
    return folder


def toy_job(dataset: Path, *, epochs: int = 3, **more: Any) -> dict[str, Any]:
    """A job that trains in a second."""
    advanced = more.pop("advanced_config", {})
    return {
        "name": "toy", "framework": "toy", "model": "softmax", "dataset": str(dataset),
        "hyperparameters": {"epochs": epochs}, "advanced_config": advanced,
        "resources": {"gpu": 0, "cpu": 1, "memory": "1Gi"}, **more,
    }  # fmt: skip
