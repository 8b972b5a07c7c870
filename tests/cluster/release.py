"""The chart installed in a real cluster: Helm's deeds, and what a person reads of it through the API."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.charts.helm import CHART, find, sets
from tests.cluster.found import kubeconfig
from tests.cluster.images import PREFIX, TAG

JOBS = "/api/v1/training/jobs"
TERMINAL = {"succeeded", "failed", "cancelled"}
WAIT = "5m"


@dataclass
class Release:
    """One release of the chart; its namespaces are there, whether it is installed or not."""

    kubectl: list[str]
    namespace: str
    jobs: str
    """The workflows' namespace."""
    values: dict[str, Any] = field(default_factory=dict)
    name: str = "tiphys"

    def do(self, *words: str, namespace: str | None = None, stdin: str | None = None, check: bool = True) -> str:
        """Runs kubectl in the release's namespace; returns what it prints."""
        command = [*self.kubectl, "-n", namespace or self.namespace, *words]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=300)
        assert not check or done.returncode == 0, f"{words}: {done.stderr}{done.stdout}"
        return done.stdout

    def helm(self, *words: str) -> str:
        """Runs helm on this release."""
        program = find()
        assert program is not None
        verb, *rest = words
        command = [program, verb, self.name, *rest, "--kubeconfig", str(kubeconfig()), "-n", self.namespace]
        done = subprocess.run(command, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, f"helm {verb}: {done.stderr}\n{self.state()}"
        return done.stdout

    def install(self) -> None:
        """Installs the chart, and waits until it is ready."""
        self.helm("install", str(CHART), *sets(self.values), "--wait", "--timeout", WAIT)

    def upgrade(self, **values: Any) -> None:
        """Changes values, and waits until the new pods are ready."""
        self.values |= values
        self.helm("upgrade", str(CHART), *sets(self.values), "--wait", "--timeout", WAIT)

    def uninstall(self) -> None:
        """Uninstalls, and waits until the pods are gone."""
        self.helm("uninstall", "--cascade", "foreground", "--wait", "--timeout", WAIT)

    def state(self) -> str:
        """Returns what helps when something did not come up."""
        pods = self.do("get", "pods", "-o", "wide", check=False)
        events = self.do("get", "events", "--sort-by=.lastTimestamp", check=False)
        logs = self.do(
            "logs", "-l", f"app.kubernetes.io/instance={self.name}", "--all-containers", "--tail=15", check=False
        )
        return f"{pods}\n{events[-2000:]}\n{logs[-3000:]}"

    def secret(self, key: str) -> str:
        """Returns a generated secret's value."""
        found = json.loads(self.do("get", "secret", f"{self.name}-keys", "-o", "json"))
        return base64.b64decode(found["data"][key]).decode()

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Returns the pods of a component that are not on their way out."""
        chosen = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"
        found = json.loads(self.do("get", "pods", "-l", chosen, "-o", "json"))["items"]
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    @contextlib.contextmanager
    def http(self) -> Iterator[httpx.Client]:
        """Opens a way to the API as a person does, by port-forward; it ends with the pod it leads to."""
        command = [*self.kubectl, "-n", self.namespace, "port-forward", f"svc/{self.name}", ":8137"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forward:
            try:
                assert forward.stdout is not None
                line = forward.stdout.readline()
                port = re.search(r"127\.0\.0\.1:(\d+)", line)
                assert port is not None, line
                headers = {"Authorization": f"Bearer {self.secret('user-token')}"}
                with httpx.Client(base_url=f"http://127.0.0.1:{port[1]}", headers=headers, timeout=30) as client:
                    yield client
            finally:
                forward.terminate()

    def add_dataset(self, folder: Path, name: str) -> None:
        """Registers a dataset as `tiphys dataset add` does: packed and uploaded."""
        with self.http() as http:
            environment = os.environ | {
                "TIPHYS_URL": str(http.base_url),
                "TIPHYS_USER_TOKEN": self.secret("user-token"),
                "TERM": "dumb",
            }
            program = Path(sys.executable).with_name("tiphys")
            command = [str(program), "dataset", "add", str(folder), "--id", name, "--json"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr + done.stdout

    def submit(self, body: dict[str, Any]) -> str:
        """Submits a job; returns its id."""
        with self.http() as http:
            answer = http.post(JOBS, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def read(self, path: str) -> Any:
        """Asks the API."""
        with self.http() as http:
            answer = http.get(path)
            answer.raise_for_status()
            return answer.json()

    def until(self, job_id: str, seen: Callable[[dict[str, Any]], Any], *, seconds: float = 300) -> dict[str, Any]:
        """Waits for a job to be as told; pods are real, and so is the time."""
        deadline = time.monotonic() + seconds
        with self.http() as http:
            while True:
                job: dict[str, Any] = http.get(f"{JOBS}/{job_id}").json()
                if seen(job):
                    return job
                assert job["state"] not in TERMINAL, f"it has ended: {job['reason']}: {job['message']}"
                assert time.monotonic() < deadline, (
                    f"after {seconds} s: {job['state']}: {job['message']}\n{self.state()}"
                )
                time.sleep(0.5)

    def ended(self, job_id: str) -> dict[str, Any]:
        """Waits until a job has ended."""
        return self.until(job_id, lambda job: job["state"] in TERMINAL)


def make_digits(folder: Path) -> Path:
    """Makes a small DICE dataset of real handwritten digits."""
    script = CHART.parents[1] / "workflows" / "examples" / "make_digits.py"
    subprocess.run([sys.executable, script, folder, "--scenes", "24", "8"], check=True, capture_output=True)
    return folder


@contextlib.contextmanager
def release_in(kubectl: list[str], storage: dict[str, str], values: dict[str, Any]) -> Iterator[Release]:
    """Makes the namespaces and the storage's Secret; removes all of it in the end."""
    name = f"chart-{secrets.token_hex(4)}"
    release = Release(kubectl, name, f"{name}-jobs")
    release.values = {
        "images.prefix": PREFIX,
        "images.tag": TAG,
        "storage.type": "minio",
        "storage.bucket": storage["STORAGE_BUCKET"],
        "storage.endpoint": storage["MINIO_ENDPOINT"],
        "storage.existingSecret": "storage",
        "jobs.namespace": release.jobs,
        **values,
    }
    try:
        for namespace in (release.namespace, release.jobs):
            release.do("create", "namespace", namespace)
        keys = [f"--from-literal=access-key={storage['MINIO_ACCESS_KEY']}"]
        keys += [f"--from-literal=secret-key={storage['MINIO_SECRET_KEY']}"]
        release.do("create", "secret", "generic", "storage", *keys)
        yield release
    finally:
        for namespace in (release.jobs, release.namespace):
            release.do("delete", "namespace", namespace, "--wait=false", check=False)
