"""The share of the time a training pod holds its GPU in which it trains: fit time over held time, goal 0.95.

Held is from the moment the pod is placed on a node until its last container has ended; fit is from the trainer's
`training_started` to its last epoch. The peer in the same run is the toy's training, which imports nothing: what is
left over there is Argo's own. Run it as `python -m tests.bench.argo_gpu_held [--epochs 30]`; without a controller it
says so.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Any

from tests.conformance.measuring import measured
from tests.conformance.scenarios import toy
from tests.conformance.stage import Stage


def detector(epochs: int) -> dict[str, Any]:
    """A training of the demo's kind; the test cluster's GPUs are only counted, so it trains on the CPU."""
    return {
        "name": "held", "framework": "ultralytics", "model": "yolo11n",
        "hyperparameters": {"epochs": epochs, "batch": 8, "image_size": 96, "seed": 0},
        "advanced_config": {"nbs": 8, "mosaic": 0.0},
        "resources": {"gpu": 0, "cpu": 2, "memory": "3Gi", "shared_memory": "256Mi", "workspace": "2Gi"},
    }  # fmt: skip


def moment(text: str) -> float:
    """Returns a time in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def held(stage: Stage, job_id: str) -> float:
    """Returns the seconds for which the training's pod was on its node."""
    assert stage.namespace is not None
    client = stage.namespace.client
    query = {"labelSelector": f"tiphys/job-id={job_id}"}
    pods = client.call("GET", client.pods(), what="list pods", query=query).json()["items"]
    whole = 0.0
    for pod in (pod for pod in pods if "-train-" in pod["metadata"]["name"]):  # one for each try
        placed = next(c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
        ends = [container["state"]["terminated"]["finishedAt"] for container in pod["status"]["containerStatuses"]]
        whole += max(map(moment, ends)) - moment(placed)
    return whole


def fit(stage: Stage, job_id: str) -> float:
    """Returns the seconds from the start of the training to the end of its last epoch."""
    events = stage.read(f"/api/v1/training/jobs/{job_id}/events?limit=1000")["items"]
    epochs = stage.read(f"/api/v1/training/jobs/{job_id}/metrics?limit=1000")["items"]
    began = next(event["created_at"] for event in events if event["event_type"] == "training_started")
    return moment(epochs[-1]["received_at"]) - moment(began)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--epochs", type=int, default=30)
    given = options.parse_args()
    with measured(scenes=(192, 32)) as stage:
        if stage is None:
            return 0
        for name, body in (("yolo11n", detector(given.epochs)), ("toy, 300 s", toy(epochs=300, seconds=1))):
            job_id = stage.submit(body)
            job = stage.ended(job_id, seconds=1800)
            whole, part = held(stage, job_id), fit(stage, job_id)
            print(f"{name}: {job['state']}, fit {part:.0f} s of {whole:.0f} s held: {part / whole:.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
