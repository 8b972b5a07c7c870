"""The end of a workflow is told when its containers have ended, too, with what only their pods know."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.workflows.argo.conftest import Clock
from tests.workflows.argo.fake import Api, Behaviour, refused
from tests.workflows.argo.store import Store
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine
from workflows.engine import EngineUnavailable

Serve = Callable[[Behaviour], tuple[Api, Client]]
NAME = "train-7k3mqz2x-1"
NODE = f"{NAME}-123"
LABELS = {"app.kubernetes.io/managed-by": "tiphys", "tiphys/job-id": "7k3mqz2x"}


def workflow(phase: str = "Failed") -> dict[str, Any]:
    node = {"id": NODE, "name": f"{NAME}.train", "type": "Pod", "phase": phase, "templateName": "train"}
    status = {"phase": phase, "finishedAt": "2026-11-21T18:00:00Z", "nodes": {NODE: node}}
    return {
        "metadata": {"name": NAME, "uid": "u", "labels": {**LABELS}},
        "spec": {"shutdown": "Stop"},
        "status": status,
    }


def pod(state: dict[str, Any], phase: str = "Running", **status: Any) -> dict[str, Any]:
    metadata = {
        "name": f"{NAME}-train-123",
        "labels": {"workflows.argoproj.io/workflow": NAME},
        "annotations": {"workflows.argoproj.io/node-id": NODE},
    }
    containers = [{"name": "wait", "state": {}}, {"name": "main", "state": state}]
    spec = {"terminationGracePeriodSeconds": 60}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, "containerStatuses": containers, **status}}


RUNNING = {"running": {"startedAt": "2026-11-21T17:00:00Z"}}
ENDED = {"terminated": {"exitCode": 143, "reason": "Error", "finishedAt": "2026-11-21T18:00:12Z"}}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def engine(api_of: Serve, store: Store, ticking: Clock) -> ArgoEngine:
    _, client = api_of(store)
    return ArgoEngine(client, clock=ticking)


def _get(engine: ArgoEngine) -> dict[str, Any]:
    found = engine.get(NAME)
    assert found is not None
    return found["status"]


def test_a_container_that_still_saves_keeps_its_workflow_running(
    engine: ArgoEngine, store: Store, ticking: Clock
) -> None:
    store.put("workflows", workflow())
    store.put("pods", pod(RUNNING))
    assert _get(engine)["phase"] == "Running"
    assert "finishedAt" not in _get(engine)
    ticking.now += 12
    store.put("pods", pod(ENDED, "Failed"))
    status = _get(engine)
    assert status["phase"] == "Failed"
    # Argo never learns it: the workflow was completed before the container ended.
    assert status["nodes"][NODE]["outputs"] == {"exitCode": "143"}
    assert status["nodes"][NODE]["pod"]["finishedAt"] == "2026-11-21T18:00:12Z"
    assert store.kept["pods"]


def test_one_that_outlives_its_grace_is_removed(engine: ArgoEngine, store: Store, ticking: Clock) -> None:
    store.put("workflows", workflow())
    store.put("pods", pod(RUNNING))
    _get(engine)
    ticking.now += 59
    _get(engine)
    assert store.kept["pods"]
    ticking.now += 2
    assert _get(engine)["phase"] == "Running"
    assert not store.kept["pods"]
    ticking.now += 2
    assert _get(engine)["phase"] == "Failed"


def test_a_pod_that_never_began_is_removed_at_once(engine: ArgoEngine, store: Store) -> None:
    store.put("workflows", workflow())
    store.put("pods", pod({}, "Pending"))
    assert _get(engine)["phase"] == "Failed"
    assert not store.kept["pods"]


def test_who_took_the_pod_away_is_kept_with_its_node(engine: ArgoEngine, store: Store) -> None:
    taken = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    store.put("workflows", workflow())
    store.put("pods", pod(ENDED, "Failed", reason="Evicted", message="low on memory", conditions=[taken]))
    assert _get(engine)["nodes"][NODE]["pod"] == {
        "exitCode": "143",
        "finishedAt": "2026-11-21T18:00:12Z",
        "reason": "Evicted",
        "message": "low on memory",
        "disruption": "EvictionByEvictionAPI",
        "disruptionMessage": "drained",
    }


def test_an_evicted_pod_whose_times_the_kubelet_does_not_know_is_read(engine: ArgoEngine, store: Store) -> None:
    unknown = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}
    store.put("workflows", workflow())
    store.put("pods", pod({"terminated": unknown}, "Failed", reason="Evicted", message="disk limit"))
    assert _get(engine)["phase"] == "Failed"
    store.put("pods", pod({"running": {"startedAt": None}}))
    assert _get(engine)["nodes"][NODE]["pod"]["message"] == "disk limit"


def test_an_exit_code_that_argo_knows_is_not_replaced(engine: ArgoEngine, store: Store) -> None:
    failed = workflow()
    failed["status"]["nodes"][NODE]["outputs"] = {"exitCode": "1"}
    store.put("workflows", failed)
    store.put("pods", pod(ENDED, "Failed"))
    assert _get(engine)["nodes"][NODE]["outputs"]["exitCode"] == "1"


def test_a_success_is_not_held_up_by_pods_that_cannot_be_seen(engine: ArgoEngine, store: Store) -> None:
    store.put("workflows", workflow("Succeeded"))
    store.faults["GET pods"] = [refused(500, "etcd")]
    assert _get(engine)["phase"] == "Succeeded"


def test_pods_that_cannot_be_seen_hold_an_end_up_for_minutes_only(
    engine: ArgoEngine, store: Store, ticking: Clock
) -> None:
    store.put("workflows", workflow())
    store.faults["GET pods"] = [refused(403, "pods is forbidden")] * 10
    with pytest.raises(EngineUnavailable, match="give this account the role"):
        _get(engine)
    ticking.now += 200
    assert _get(engine)["phase"] == "Failed"


def test_compressed_nodes_are_unpacked(engine: ArgoEngine, store: Store) -> None:
    packed = workflow("Succeeded")
    nodes = json.dumps(packed["status"].pop("nodes")).encode()
    packed["status"]["compressedNodes"] = base64.b64encode(gzip.compress(nodes)).decode()
    store.put("workflows", packed)
    assert _get(engine)["nodes"][NODE]["templateName"] == "train"


def test_one_that_was_retried_in_argo_is_looked_at_anew(engine: ArgoEngine, store: Store, ticking: Clock) -> None:
    store.put("workflows", workflow())
    assert _get(engine)["phase"] == "Failed"
    store.put("workflows", workflow("Running"))
    assert _get(engine)["phase"] == "Running"
    store.put("workflows", workflow())
    store.put("pods", pod(RUNNING))
    ticking.now += 2
    assert _get(engine)["phase"] == "Running"


def test_a_pod_that_does_not_go_holds_an_end_up_for_minutes_only(
    engine: ArgoEngine, store: Store, ticking: Clock
) -> None:
    store.put("workflows", workflow())
    store.put("pods", pod(RUNNING))
    assert _get(engine)["phase"] == "Running"
    ticking.now += 61
    assert _get(engine)["phase"] == "Running"
    # Its node is dead: removed, it is still there.
    store.put("pods", pod(RUNNING))
    ticking.now += 200
    assert _get(engine)["phase"] == "Running"
    ticking.now += 200
    assert _get(engine)["phase"] == "Failed"


def test_a_step_that_succeeded_in_a_pod_that_was_taken_away_is_marked(engine: ArgoEngine, store: Store) -> None:
    ended = workflow("Succeeded")
    ended["spec"] = {}
    other = f"{NAME}-456"
    ended["status"]["nodes"][other] = {
        "id": other, "name": f"{NAME}.upload", "type": "Pod", "phase": "Succeeded", "templateName": "upload",
    }  # fmt: skip
    store.put("workflows", ended)
    left = pod({"terminated": {"exitCode": 0}}, "Succeeded")
    left["metadata"]["name"] = f"{NAME}-upload-456"
    left["metadata"]["annotations"] = {"workflows.argoproj.io/node-id": other}
    store.put("pods", left)
    nodes = _get(engine)["nodes"]
    assert nodes[NODE]["pod"] == {"gone": True}
    assert "gone" not in nodes[other]["pod"]


@pytest.mark.parametrize(
    ("change", "lets_go"),
    [
        ({}, False),
        ({"deletionTimestamp": "2026-11-21T18:00:00Z"}, True),
    ],
    ids=["a pod that is only silent", "a pod that is being deleted"],
)
def test_only_a_pod_that_is_being_taken_away_is_let_go_of(
    engine: ArgoEngine, store: Store, change: dict[str, Any], lets_go: bool
) -> None:
    silent = pod(RUNNING)
    silent["metadata"] |= change
    store.put("pods", silent)
    assert engine.release(NAME, NODE) is lets_go
    assert bool(store.kept["pods"]) is not lets_go


def test_a_pod_of_a_drained_node_is_let_go_of(engine: ArgoEngine, store: Store) -> None:
    drained = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
    store.put("pods", pod(RUNNING, conditions=[drained]))
    assert engine.release(NAME, NODE)
