"""Ten thousand live workflows on a real API server: list, lag of events, memory, a look; beside `kubernetes`.

Run it as `python -m tests.bench.argo_watch [--workflows 10000] [--seconds 20] [--rate 20]`; it says so where there is
no cluster. The API server needs 5 GB for it, and minutes to make them all and remove them again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.bench.argo_tick import look
from tests.cluster.found import kubeconfig
from tests.cluster.namespace import Namespace, namespace_in
from workflows.argo.access import AccessError
from workflows.argo.client import MERGE, Client
from workflows.argo.engine import ArgoEngine
from workflows.argo.find import find_access
from workflows.argo.identity import identify, noted
from workflows.argo.seen import Seen
from workflows.argo.watch import Watcher
from workflows.engine import EngineError

GOLDEN = Path(__file__).resolve().parents[1] / "workflows" / "golden" / "toy.yaml"
PEER = Path(__file__).resolve().parent / "peers" / "kubernetes_watch.py"
STEPS = ("download", "convert", "train", "upload", "report")
NOBODY = {"workflows.argoproj.io/controller-instanceid": "nobody"}
"""A controller in the cluster leaves these workflows alone."""


def job_id(number: int) -> str:
    """The id of the n-th job."""
    return f"bench{number:05}"


def workflow(number: int) -> str:
    """The name of its workflow."""
    return f"train-{job_id(number)}-1"


def status(name: str, message: str = "") -> dict[str, Any]:
    """A status as a run in its third step has it."""
    nodes = {}
    for number, step in enumerate(STEPS[:3]):
        for kind, suffix in (("Retry", ""), ("Pod", "(0)")):
            node_id = f"{name}-{number}{len(suffix)}"
            nodes[node_id] = {
                "id": node_id,
                "name": f"{name}.{step}{suffix}",
                "displayName": f"{step}{suffix}",
                "type": kind,
                "templateName": step,
                "templateScope": f"local/{name}",
                "phase": "Succeeded" if number < 2 else "Running",
                "boundaryID": name,
                "startedAt": "2026-11-21T18:00:00Z",
                "progress": "0/1",
                "message": message,
                "outputs": {"parameters": [{"name": "images", "value": "128"}], "exitCode": "0"},
            }
    return {"phase": "Running", "startedAt": "2026-11-21T18:00:00Z", "progress": "2/5", "nodes": nodes}


def fill(namespace: Namespace, count: int) -> float:
    """Makes live workflows; returns how many a second the API server took."""
    manifest = yaml.safe_load(GOLDEN.read_text())

    def make(number: int) -> None:
        metadata = {**manifest["metadata"], "name": workflow(number)}
        metadata["labels"] = {**metadata["labels"], **NOBODY, "tiphys/job-id": job_id(number)}
        body = {**manifest, "metadata": metadata}
        body = noted(body, identify(body), namespace=namespace.name)
        namespace.post(namespace.client.workflows(), {**body, "status": status(workflow(number))})

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(count)))
    return count / (time.monotonic() - began)


@contextmanager
def peer(namespace: Namespace, told: dict[str, float]) -> Iterator[dict[str, float] | None]:
    """The `kubernetes` package beside us, on the same workflows; None where it cannot be installed here."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
            install = [python, "-m", "pip", "install", "-q", "kubernetes"]
            subprocess.run(install, check=True, capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"no peer: the kubernetes package cannot be installed here ({error})")
            yield None
            return
        command = [python, PEER, kubeconfig(), namespace.name]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            found = json.loads(process.stdout.readline())
            reader = threading.Thread(target=_hear, args=(process.stdout, told))
            reader.start()
            try:
                yield found
            finally:
                process.stdin.close()
                reader.join()


def _hear(lines: Any, told: dict[str, float]) -> None:
    for line in lines:
        event = json.loads(line)
        told[event["name"]] = event["at"]


def lags(
    client: Client, heard: list[dict[str, float]], *, count: int, rate: float, seconds: float
) -> list[list[float]]:
    """Changes workflows; returns how long after each request every listener knew."""
    found: list[list[float]] = [[] for _ in heard]
    began = time.monotonic()
    for turn in range(int(rate * seconds)):
        time.sleep(max(0.0, began + turn / rate - time.monotonic()))
        name = workflow(turn % count)
        for told in heard:
            told.pop(name, None)
        asked = time.monotonic()
        # Never the same words: a change that changes nothing is no event.
        body = {"status": status(name, f"epoch {turn} at {asked}")}
        client.call("PATCH", client.workflows(name), what="change it", body=body, kind=MERGE)
        while not all(name in told for told in heard) and time.monotonic() - asked < 30:
            time.sleep(0.001)
        for lag, told in zip(found, heard, strict=True):
            lag.append(told.get(name, float("inf")) - asked)
    print(f"{len(found[0]) / (time.monotonic() - began):.0f} changes a second, load {os.getloadavg()[0]:.1f}")
    return found


def shown(lag: list[float]) -> str:
    """Median, 99th percentile and worst of some lags."""
    cuts = statistics.quantiles(lag, n=100)
    return f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, worst {max(lag) * 1000:.0f} ms"


def peak() -> float:
    """The most memory this process ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(namespace: Namespace, given: argparse.Namespace) -> None:
    """Measures everything in a namespace full of workflows."""
    client = Client(dataclasses.replace(namespace.admin, namespace=namespace.name))
    ours: dict[str, float] = {}
    theirs: dict[str, float] = {}
    seen = Seen()
    watcher = Watcher(client, seen, on_event=lambda _, name: ours.__setitem__(name, time.monotonic()))
    for what in ("list", "list again"):
        began, busy = time.monotonic(), time.process_time()
        watcher.list()
        took, busy = time.monotonic() - began, time.process_time() - busy
        print(f"{what}: {took:.2f} s ({busy:.2f} s of CPU) for {len(seen)}, peak memory {peak():.0f} MB")
    stop = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stop,))
    thread.start()
    with peer(namespace, theirs) as found:
        if found is not None:
            spent = f"{found['seconds']:.2f} s ({found['cpu']:.2f} s of CPU)"
            print(f"peer's list: {spent} for {found['count']:.0f}, peak memory {found['mb']:.0f} MB")
        heard = [ours] if found is None else [ours, theirs]
        all_lags = lags(client, heard, count=given.workflows, rate=given.rate, seconds=given.seconds)
    for who, lag in zip(("event lag, the write included", "peer's"), all_lags, strict=False):
        print(f"{who}: {shown(lag)}")
    stop.set()
    watcher.cut()
    thread.join()
    began = time.monotonic()
    names = ArgoEngine(client).names()
    print(f"names only: {time.monotonic() - began:.2f} s for {len(names)}; peak memory {peak():.0f} MB")
    client.close()
    look(namespace, [job_id(number) for number in range(given.workflows)])


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--workflows", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--rate", type=float, default=20)
    given = options.parse_args()
    try:
        admin = find_access(kubeconfig=kubeconfig(), namespace="default", env=os.environ)
        Client(admin).call("GET", "/readyz", what="answer")
    except (AccessError, EngineError) as error:
        print(f"skipped: no cluster to measure with ({error})")
        return 0
    with namespace_in(admin, prefix="bench") as namespace:
        print(f"created {given.workflows} workflows, {fill(namespace, given.workflows):.0f}/s")
        print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        measure(namespace, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
