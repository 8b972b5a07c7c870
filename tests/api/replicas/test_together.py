"""Two APIs and a reconciler as processes of their own, on one PostgreSQL: each replica serves every job whole."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from api.settings import SOURCE, Settings
from tests.api.factories import USER_TOKEN, environment_of
from tests.e2e.conftest import digits, end_trainers, toy_job

__all__ = ["digits"]

pytestmark = pytest.mark.e2e

JOBS = "/api/v1/training/jobs"
DEADLINE = 120.0
HEADERS = {"Authorization": f"Bearer {USER_TOKEN}"}


@dataclass
class Replicas:
    """One machine's worth of a cluster: homes of their own, one storage, one database."""

    folder: Path
    settings: Settings
    ports: dict[str, int] = field(default_factory=dict)
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, module: str) -> None:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        if not (home / "storage").exists():
            (home / "storage").symlink_to(self.folder / "storage")  # as a bucket would be
        told = {
            "TIPHYS_HOME": str(home),
            "TIPHYS_PORT": str(self.ports.setdefault(name, free_port())),
            "TIPHYS_TICK": "0.1",
        }
        told["TIPHYS_PUBLIC_URL"] = f"http://127.0.0.1:{self.ports['a']}"
        environment = os.environ | environment_of(self.settings) | told | {"PYTHONPATH": str(SOURCE)}
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", module]
            self.children[name] = subprocess.Popen(
                command, env=environment, cwd=SOURCE, stderr=log, stdin=subprocess.DEVNULL
            )

    def at(self, name: str) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.ports[name]}", headers=HEADERS, timeout=DEADLINE)

    def kill(self, name: str) -> None:
        self.children[name].send_signal(signal.SIGKILL)
        self.children[name].wait()

    def ready(self, name: str) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[name]}/ready").is_success
        except httpx.TransportError:
            return False

    def end(self) -> None:
        for child in self.children.values():
            child.terminate()
        _, left = psutil.wait_procs([psutil.Process(c.pid) for c in self.children.values() if c.poll() is None], 20)
        assert not left, "a process did not end at SIGTERM"
        for child in self.children.values():
            child.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + DEADLINE
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)  # between two looks at real processes
    return found


@pytest.fixture
def replicas(settings: Settings, tmp_path: Path) -> Iterator[Replicas]:
    (tmp_path / "storage").mkdir()
    made = Replicas(tmp_path, settings)
    for name in ("a", "b"):
        made.start(name, "api")
    made.start("r", "api.reconciler")
    until(lambda: made.ready("a") and made.ready("b"))
    yield made
    made.end()
    end_trainers(tmp_path)


class Stream(threading.Thread):
    """Follows a job's stream to its end."""

    def __init__(self, replicas: Replicas, name: str, job_id: str) -> None:
        super().__init__()
        self.client, self.path, self.text = replicas.at(name), f"{JOBS}/{job_id}/stream", ""
        self.start()

    def run(self) -> None:
        with self.client, self.client.stream("GET", self.path) as answer:
            for piece in answer.iter_text():
                self.text += piece


def log(replicas: Replicas, name: str, job_id: str) -> str:
    with replicas.at(name) as http:
        answer = http.get(f"{JOBS}/{job_id}/logs")
    return answer.text if answer.is_success else ""


def test_each_replica_serves_every_job_live_and_whole(replicas: Replicas, digits: Path) -> None:
    with replicas.at("a") as a:
        body = toy_job(digits, epochs=40, advanced_config={"epoch_seconds": 0.3})
        job_id = a.post(JOBS, json=body).raise_for_status().json()["id"]
    stream = Stream(replicas, "b", job_id)
    # Live, on the replica that has nothing to do with it: its events and heartbeats, and its log.
    until(lambda: stream.text.count("event: heartbeat") >= 3)
    until(lambda: "[EPOCH:2]" in log(replicas, "b", job_id))
    # The reconciler dies in the middle; the next one goes on with everything, the log too.
    replicas.kill("r")
    replicas.start("r", "api.reconciler")
    stream.join(DEADLINE)
    assert not stream.is_alive()
    assert '"state":"succeeded"' in stream.text
    told = [int(epoch) for epoch in re.findall(r'event: heartbeat\ndata: .*?"epoch":(\d+)', stream.text)]
    assert sorted(set(told)) == list(range(1, 41))
    assert stream.text.count("event: end") == 1
    ids = [int(n) for n in re.findall(r"^id: (\d+)-", stream.text, re.MULTILINE)]
    assert ids == sorted(ids)
    whole = [log(replicas, name, job_id) for name in ("a", "b")]
    assert whole[0] == whole[1]
    # Nothing lost, nothing twice: as often as the trainer itself has said it.
    said = Counter(re.findall(r"\[EPOCH:\d+\].*", whole[0]))
    assert len({line.split("]")[0] for line in said}) == 40
    assert set(said.values()) == {1}


def test_a_job_is_cancelled_by_another_replica_than_its_trainer_calls(replicas: Replicas, digits: Path) -> None:
    with replicas.at("a") as a, replicas.at("b") as b:
        body = toy_job(digits, epochs=500, advanced_config={"epoch_seconds": 0.2})
        job_id = a.post(JOBS, json=body).raise_for_status().json()["id"]
        until(lambda: (b.get(f"{JOBS}/{job_id}").json()["epoch"] or 0) >= 2)
        b.post(f"{JOBS}/{job_id}/cancel").raise_for_status()
        job = until(lambda: (j := a.get(f"{JOBS}/{job_id}").json())["state"] == "cancelled" and j)
        assert job["reason"] == "user"
        kinds = [item["kind"] for item in b.get(f"{JOBS}/{job_id}/checkpoints").json()["items"]]
        assert "last" in kinds
