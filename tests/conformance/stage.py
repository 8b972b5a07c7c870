"""A whole platform on one of its two engines, as processes, with a small dataset in its storage."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
import yaml

from tests.cluster.found import kubeconfig
from tests.cluster.namespace import PLATFORM, Namespace, namespace_in
from tests.cluster.volumes import writable_volumes
from tests.e2e.conftest import TERMINAL, Platform, end_trainers
from tests.steps.s3 import serving
from workflows.argo.access import Access
from workflows.version import __version__

DATASET = "tiny"
NODE = os.environ.get("TIPHYS_TEST_NODE_ADDRESS", "10.90.0.1")
"""An address of this machine that pods reach."""

Engine = Literal["local", "argo"]


@dataclass
class Stage:
    """One platform, its engine, and what a test does to it from outside."""

    engine: Engine
    platform: Platform
    storage: Path
    """The folder that the bucket is."""
    namespace: Namespace | None = None
    """Of the workflows, seen by an administrator; None on this machine."""

    def submit(self, body: dict[str, Any]) -> str:
        """Submits a job and returns its id."""
        return self.platform.submit({"dataset": DATASET, **body})

    def job(self, job_id: str) -> dict[str, Any]:
        """Returns a job as the API tells it."""
        return dict(self.read(f"/api/v1/training/jobs/{job_id}"))

    def read(self, path: str) -> Any:
        """Asks the API."""
        with self.platform.http() as http:
            answer = http.get(path)
            answer.raise_for_status()
            return answer.json()

    def events(self, job_id: str) -> list[dict[str, Any]]:
        """Returns a job's events, oldest first."""
        return list(self.read(f"/api/v1/training/jobs/{job_id}/events?limit=1000")["items"])

    def until(self, job_id: str, seen: Callable[[dict[str, Any]], Any], *, seconds: float = 240) -> dict[str, Any]:
        """Waits for a job to be as told; both the processes and the pods are real, and so is the time."""
        deadline = time.monotonic() + seconds
        while True:
            job = self.job(job_id)
            if seen(job):
                return job
            assert job["state"] not in TERMINAL, f"it has ended: {job['reason']}: {job['message']}"
            assert time.monotonic() < deadline, f"waited {seconds} s, and it is {job['state']}: {job['message']}"
            time.sleep(0.2)

    def ended(self, job_id: str, *, seconds: float = 300) -> dict[str, Any]:
        """Waits until a job has ended and everything of it is kept."""
        return self.until(job_id, lambda job: job["state"] in TERMINAL, seconds=seconds)

    def trainers(self, job_id: str) -> list[psutil.Process]:
        """Returns a job's training processes; a pod's are processes of its node, which is this machine."""
        return [process for process in psutil.process_iter() if _trains(process, job_id)]

    def signal(self, job_id: str, number: int) -> None:
        """Sends a signal to a job's trainer, once it runs."""
        deadline = time.monotonic() + 60
        while not (found := self.trainers(job_id)):
            assert time.monotonic() < deadline, "no trainer runs"
            time.sleep(0.1)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def cancel(self, job_id: str) -> None:
        """Cancels a job as a person does."""
        with self.platform.http() as http:
            http.post(f"/api/v1/training/jobs/{job_id}/cancel").raise_for_status()

    def workflow(self, job_id: str, attempt: int = 1) -> str:
        """Returns the name of an attempt's workflow."""
        return f"train-{job_id}-{attempt}"


def _trains(process: psutil.Process, job_id: str) -> bool:
    try:
        words = process.cmdline()
        # Argo's executor and the local engine's carry the same environment and start the trainer.
        if not words or "argoexec" in words[0] or any("emissary" in word for word in words):
            return False
        return process.environ().get("JOB_ID") == job_id and "python" in words[0]
    except (psutil.Error, OSError):
        return False


def needs_image(namespace: Namespace, name: str) -> None:
    """Skips a test whose image no node has: there may be no registry to pull it from."""
    nodes = namespace.client.call("GET", "/api/v1/nodes", what="list nodes").json()["items"]
    held = [held for node in nodes for image in node["status"].get("images") or () for held in image["names"] or ()]
    wanted = f"tiphys/{name}:{os.environ.get('TIPHYS_TEST_IMAGE_TAG', __version__)}"
    if not any(name.endswith(wanted) for name in held):
        pytest.skip(f"no node has the image {wanted}: make images, and load it (tests/cluster/README.md)")


@contextlib.contextmanager
def local_stage(folder: Path, dataset: Path) -> Iterator[Stage]:
    """A platform on this machine."""
    platform = Platform(folder / "home")
    try:
        platform.up()
        platform.tiphys("dataset", "add", dataset, "--id", DATASET)
        yield Stage("local", platform, platform.home / "storage")
    finally:
        platform.down()
        end_trainers(platform.home)


@contextlib.contextmanager
def argo_stage(folder: Path, dataset: Path, cluster: Access, argo: str, **settings: str) -> Iterator[Stage]:
    """A platform on this machine whose jobs run in a cluster, with a real S3 server on the node.

    `settings` are variables of the platform that stand above the usual ones.
    """
    with (
        namespace_in(cluster) as namespace,
        serving(folder / "s3", address=NODE) as storage,
        writable_volumes(),
    ):
        for image in ("steps", "trainer-toy"):
            needs_image(namespace, image)
        account = namespace.account("platform", PLATFORM)
        port = _free_port()
        environment = {
            "TIPHYS_ENGINE": "argo",
            "TIPHYS_KUBECONFIG": str(_kubeconfig(folder, account)),
            "TIPHYS_ARGO_NAMESPACE": namespace.name,
            "TIPHYS_ARGO_SERVER": argo,
            "TIPHYS_WORKFLOW_SERVICE_ACCOUNT": "workflow",
            "TIPHYS_IMAGE_TAG": os.environ.get("TIPHYS_TEST_IMAGE_TAG", __version__),
            "TIPHYS_HOST": NODE,
            "TIPHYS_PUBLIC_URL": f"http://{NODE}:{port}",
            "TIPHYS_STORAGE_TYPE": "minio",
            "TIPHYS_STORAGE_BUCKET": storage["STORAGE_BUCKET"],
            "TIPHYS_STORAGE_ENDPOINT": storage["MINIO_ENDPOINT"],
            "TIPHYS_STORAGE_ACCESS_KEY": storage["MINIO_ACCESS_KEY"],
            "TIPHYS_STORAGE_SECRET_KEY": storage["MINIO_SECRET_KEY"],
            "TIPHYS_PENDING_WARNING": "10",
            "TIPHYS_PENDING_LIMIT": "60",
            "TIPHYS_START_LIMIT": "30",
            "TIPHYS_CANCEL_GRACE": "20",
            **settings,
        }
        platform = Platform(folder / "home", environment, port=port)
        try:
            platform.up()
            platform.tiphys("dataset", "add", dataset, "--id", DATASET)
            yield Stage("argo", platform, folder / "s3" / "bucket", namespace)
        finally:
            platform.down()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((NODE, 0))
        return int(probe.getsockname()[1])


def _kubeconfig(folder: Path, account: Access) -> Path:
    """Writes a kubeconfig with the platform's own account in the place of the administrator's."""
    config = yaml.safe_load(kubeconfig().read_text())
    for user in config["users"]:
        user["user"] = {"token": account.token()}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path
