"""How long a job waits for its pods: from submit to the first one running, and from one step to the next.

The peer in the same run is a bare Argo workflow of as many steps, without volume, Secret or outputs: what Argo itself
costs, which hangs on the controller's DEFAULT_REQUEUE_TIME. Run it as `python -m tests.bench.argo_latency [--runs 3]`;
it says so where there is no controller.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import secrets
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.conformance.measuring import measured
from tests.conformance.scenarios import IMAGE, toy
from tests.conformance.stage import Stage
from workflows.argo.client import Client
from workflows.engine import EngineError

STEPS = ("download", "convert", "train", "upload", "report")


class Pods:
    """Notes when each pod's main container was seen to run and to have ended, by this machine's clock."""

    def __init__(self, client: Client) -> None:
        self.ran: dict[tuple[str, str], float] = {}
        self.ended: dict[tuple[str, str], float] = {}
        self.made: dict[str, float] = {}
        self._client = client
        for path, take in ((client.pods(), self._pod), (client.workflows(), self._workflow)):
            threading.Thread(target=self._watch, args=(path, take), daemon=True).start()

    def _watch(self, path: str, take: Any) -> None:
        rest = b""
        try:
            with self._client.stream(path, what="watch", query={"watch": "true"}, read_timeout=600) as answer:
                for piece in answer.iter_bytes():
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        take(json.loads(line)["object"], time.monotonic())
        except EngineError:
            return  # closed at the end

    def _workflow(self, workflow: dict[str, Any], now: float) -> None:
        self.made.setdefault(workflow["metadata"]["name"], now)

    def _pod(self, pod: dict[str, Any], now: float) -> None:
        meta = pod["metadata"]
        step = meta["annotations"]["workflows.argoproj.io/node-name"].rpartition(".")[2].partition("(")[0]
        key = (meta["labels"]["workflows.argoproj.io/workflow"], step)
        for container in pod["status"].get("containerStatuses") or ():
            if container["name"] == "main":
                if "running" in container["state"] or "terminated" in container["state"]:
                    self.ran.setdefault(key, now)
                if "terminated" in container["state"]:
                    self.ended.setdefault(key, now)

    def gaps(self, workflow: str) -> list[float]:
        """Returns the seconds from the end of each step to the start of the next."""
        return [self.ran[workflow, after] - self.ended[workflow, before] for before, after in itertools.pairwise(STEPS)]


def bare(name: str) -> dict[str, Any]:
    """A workflow of five steps that do nothing."""
    tasks = [{"name": step, "template": "none"} for step in STEPS]
    for before, task in zip(STEPS, tasks[1:], strict=False):
        task["depends"] = before
    container = {"image": IMAGE, "command": ["python", "-c", "pass"]}
    templates = [{"name": "main", "dag": {"tasks": tasks}}, {"name": "none", "container": container}]
    spec = {"entrypoint": "main", "serviceAccountName": "workflow", "templates": templates}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "labels": {"bench": "bare"}},
        "spec": spec,
    }


def until(pods: Pods, workflow: str) -> None:
    """Waits until the last step of a workflow has ended."""
    deadline = time.monotonic() + 300
    while (workflow, STEPS[-1]) not in pods.ended:
        if time.monotonic() > deadline:
            raise SystemExit(f"{workflow} did not end in 300 s")
        time.sleep(0.05)


def measure(stage: Stage, pods: Pods, runs: int) -> Iterator[tuple[str, float, float, list[float]]]:
    """Yields whose run it was, seconds until the workflow was there, until its first pod ran, and between steps."""
    for _ in range(runs):
        asked = time.monotonic()
        name = stage.workflow(stage.submit(toy()))
        until(pods, name)
        yield "ours", pods.made[name] - asked, pods.ran[name, STEPS[0]] - pods.made[name], pods.gaps(name)
        assert stage.namespace is not None
        name, asked = f"bare-{secrets.token_hex(3)}", time.monotonic()
        stage.namespace.post(stage.namespace.client.workflows(), bare(name))
        until(pods, name)
        yield "bare", pods.made[name] - asked, pods.ran[name, STEPS[0]] - pods.made[name], pods.gaps(name)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=3)
    given = options.parse_args()
    with measured() as stage:
        if stage is None:
            return 0
        assert stage.namespace is not None
        client = Client(dataclasses.replace(stage.namespace.admin, namespace=stage.namespace.name))
        found = list(measure(stage, Pods(client), given.runs))
        client.close()
    told = {}
    for whose in ("ours", "bare"):
        rows = [row for row in found if row[0] == whose]
        made, first = (statistics.median(row[place] for row in rows) for place in (1, 2))
        between = statistics.median(gap for row in rows for gap in row[3])
        told[whose] = (made, first, between)
        whole = sum(statistics.median(row[3][n] for row in rows) for n in range(len(STEPS) - 1))
        print(f"{whose}: submit to workflow {made:.2f} s, workflow to first pod running {first:.2f} s, "
              f"between steps {between:.2f} s, all gaps together {whole:.1f} s")  # fmt: skip
    ours, peer = told["ours"], told["bare"]
    print(f"on top of Argo: {ours[0] + ours[1] - peer[0] - peer[1]:+.2f} s to the first pod, "
          f"{ours[2] - peer[2]:+.2f} s between steps")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
