"""After a training is killed on a real controller: when it is noticed, when it trains again, and what is lost.

Run it as `python -m tests.bench.argo_recovery`; it says so where there is no controller. The peer in each line is what
Argo itself waits before the retry: ten seconds of backoff, then its own requeue.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.conformance.measuring import measured
from tests.conformance.on_argo import delete, evict, on_pod, vanish
from tests.conformance.scenarios import toy
from tests.conformance.stage import Stage

EPOCHS = 40
KILLS: dict[str, Callable[[Stage, str], None]] = {
    "SIGKILL of the trainer": lambda stage, job: stage.signal(job, signal.SIGKILL),
    "pod evicted": on_pod("train", evict),
    "pod deleted": on_pod("train", delete),
    "pod gone at once": on_pod("train", vanish),
}


def measure(stage: Stage, name: str, kill: Callable[[Stage, str], None]) -> None:
    """Kills one training in its fifth epoch and prints what follows."""
    job_id = stage.submit(toy(epochs=EPOCHS, seconds=1))
    stage.until(job_id, lambda job: (job["epoch"] or 0) >= 5)
    before = stage.job(job_id)["epoch"]
    killed = time.time()
    kill(stage, job_id)
    stage.until(job_id, lambda job: any(again(event) for event in events(stage, job_id)))
    noticed = next(at(event) for event in events(stage, job_id) if again(event))
    stage.until(job_id, lambda job: any(event["event_type"] == "resumed" for event in events(stage, job_id)))
    resumed = next(event for event in events(stage, job_id) if event["event_type"] == "resumed")
    job = stage.ended(job_id)
    lost = before - resumed["data"]["epoch"]
    print(f"{name}: told as retried after {noticed - killed:.1f} s, trains again after {at(resumed) - killed:.1f} s, "
          f"epochs lost {max(0, lost)}, ended {job['state']} at epoch {job['epoch']}")  # fmt: skip


def events(stage: Stage, job_id: str) -> list[dict[str, Any]]:
    """Returns what happened to a job."""
    return list(stage.read(f"/api/v1/training/jobs/{job_id}/events?limit=1000")["items"])


def again(event: dict[str, Any]) -> bool:
    """Tells whether an event says that the training is tried again."""
    return event["event_type"] == "step_retrying" and event["data"]["step"] == "train"


def at(event: dict[str, Any]) -> float:
    """Returns when something happened, in seconds since the epoch."""
    return datetime.fromisoformat(event["created_at"]).timestamp()


def main() -> int:
    with measured() as stage:
        if stage is not None:
            for name, kill in KILLS.items():
                measure(stage, name, kill)
    return 0


if __name__ == "__main__":
    sys.exit(main())
