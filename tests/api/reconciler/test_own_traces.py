"""Recordings of this product's own workflows on a real controller, replayed: the record each must leave."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from api.db import Database
from api.jobs.status import Reason, State
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench

OWN = Path(__file__).parent / "own"

TRAINED = (State.SUCCEEDED, Reason.COMPLETED)
ENDS = {
    "success": TRAINED,
    "temporary-once": TRAINED,
    "preempted": TRAINED,
    "killed": TRAINED,
    "evicted": TRAINED,
    "pod-deleted": TRAINED,
    "pod-vanished": TRAINED,
    "deaf-to-sigterm": TRAINED,
    "api-away": TRAINED,
    "no-checkpoint": TRAINED,
    "told-failed": (State.FAILED, Reason.TRAINING_ERROR),
    "user-error": (State.FAILED, Reason.TRAINING_ERROR),
    "gpu-memory": (State.FAILED, Reason.GPU_OOM),
    "out-of-memory": (State.FAILED, Reason.OOM),
    "temporary-always": (State.FAILED, Reason.TEMPORARY),
    "dataset-broken": (State.FAILED, Reason.DATASET_ERROR),
    "workflow-deadline": (State.FAILED, Reason.DEADLINE),
    "step-deadline": (State.FAILED, Reason.STEP_DEADLINE),
    "upload-fails": (State.FAILED, Reason.TEMPORARY),
    "deleted": (State.FAILED, Reason.WORKFLOW_DELETED),
    "stopped-in-the-ui": (State.FAILED, Reason.STOPPED),
    "terminated-in-the-ui": (State.FAILED, Reason.TERMINATED),
    "image-missing": (State.FAILED, Reason.IMAGE_PULL),
    "secret-missing": (State.FAILED, Reason.MISSING_SECRET),
    "unschedulable": (State.FAILED, Reason.UNSCHEDULABLE),
    "quota": (State.FAILED, Reason.QUOTA),
    "disk-limit": (State.FAILED, Reason.EPHEMERAL_STORAGE),
    "waits-for-its-turn": TRAINED,
    "cancelled": (State.CANCELLED, Reason.USER),
    "cancelled-deaf": (State.CANCELLED, Reason.USER),
    "suspended-then-cancelled": (State.CANCELLED, Reason.USER),
}
"""Scenario of the conformance suite → how its record ends; `make record-traces` makes the recordings."""
CANCELLED = frozenset(name for name, (state, _) in ENDS.items() if state is State.CANCELLED)


def looks(scenario: str) -> list[dict[str, Any]]:
    """Returns the recorded events of a workflow, in order: when, of what type, and the object."""
    with gzip.open(OWN / f"{scenario}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


@pytest.fixture
def cluster(settings: Settings, database: Database, clock: Clock) -> Bench:
    """A reconciler whose engine is a cluster's; it gives up on an image as soon as it did in the recording."""
    return Bench(
        settings.model_copy(update={"engine": "argo", "start_limit": 25, "pending_limit": 25}), database, clock
    )


def replay(bench: Bench, scenario: str, *, restarts: bool = False) -> str:
    """Shows a reconciler one recorded state after the other; returns the workflow's name."""
    found = looks(scenario)
    metadata = found[0]["object"]["metadata"]
    name = bench.create(id=metadata["labels"]["tiphys/job-id"])
    assert name == metadata["name"]
    bench.tick()
    before = found[0]["t"]
    bench.checkpoint(name)
    for number, look in enumerate(found):
        bench.clock.advance(max(0.0, look["t"] - before - 0.5))
        before = look["t"]
        if scenario in CANCELLED and bench.job(name).state == State.RUNNING and _trains(look["object"]):
            bench.cancel(name)
        if look["type"] == "DELETED":
            bench.engine.workflows.pop(name, None)
        else:
            bench.engine.workflows[name] = look["object"]
        bench.tick()
        if restarts and number % 2:
            bench.restart()
    bench.tick(2)
    return name


def _trains(workflow: dict[str, Any]) -> bool:
    nodes = (workflow["status"].get("nodes") or {}).values()
    return any(node.get("templateName") == "train" and node["phase"] == "Running" for node in nodes)


@pytest.mark.parametrize("restarts", [False, True], ids=["one process", "restarted at every second look"])
@pytest.mark.parametrize("scenario", sorted(ENDS))
def test_each_ending_has_its_reason(cluster: Bench, scenario: str, restarts: bool) -> None:
    name = replay(cluster, scenario, restarts=restarts)
    job = cluster.job(name)
    assert (job.state, job.reason) == ENDS[scenario], job.message
    assert job.state == State.SUCCEEDED or job.state == State.CANCELLED or "Cure: " in (job.message or "")


def test_every_recording_is_replayed() -> None:
    assert {path.name.partition(".")[0] for path in OWN.iterdir()} == set(ENDS)


def test_a_success_tells_each_step_once(cluster: Bench) -> None:
    events = cluster.events(replay(cluster, "success"), kind="step")
    told = [event.message for event in events if event.event_type in ("step_started", "step_succeeded")]
    assert len(told) == len(set(told)) == 12


def test_an_eviction_is_told_as_another_try(cluster: Bench) -> None:
    name = replay(cluster, "evicted")
    assert cluster.told(name, "step").count("step_retrying") == 1
    assert "step_failed" not in cluster.told(name, "step")


def test_the_clusters_own_words_survive_the_stop_that_overwrites_them(cluster: Bench) -> None:
    name = replay(cluster, "image-missing")
    assert "registry.invalid/absent:1" in (cluster.job(name).message or "")
