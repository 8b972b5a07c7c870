"""What only a cluster can do to a job, done by the means a person or Kubernetes has, and how its record must end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.conformance import scripts
from tests.conformance.scenarios import Deed, Scenario, after_epoch, custom, toy
from tests.conformance.stage import Stage
from workflows.argo.client import MERGE

ABSENT = "registry.invalid/absent:1"


def pods(stage: Stage, job_id: str, step: str) -> list[dict[str, Any]]:
    """Returns the pods of a step that have not ended."""
    assert stage.namespace is not None
    client = stage.namespace.client
    query = {"labelSelector": f"tiphys/job-id={job_id}"}
    found = client.call("GET", client.pods(), what="list pods", query=query).json()["items"]
    return [pod for pod in found if f"-{step}-" in pod["metadata"]["name"] and pod["status"]["phase"] == "Running"]


def on_pod(step: str, what: Callable[[Any, str], None]) -> Deed:
    """Does something to a step's pod."""

    def deed(stage: Stage, job_id: str) -> None:
        assert stage.namespace is not None
        (pod,) = pods(stage, job_id, step)
        what(stage.namespace.client, pod["metadata"]["name"])

    return deed


def evict(client: Any, name: str) -> None:
    """As a drain does."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    client.call("POST", f"{client.pods(name)}/eviction", what="evict", body=body)


def delete(client: Any, name: str) -> None:
    """As `kubectl delete pod` does."""
    client.call("DELETE", client.pods(name), what="delete")


def vanish(client: Any, name: str) -> None:
    """As a node that is gone for good: at once, and without the controller having seen it end."""
    client.call("DELETE", client.pods(name), what="delete", body={"gracePeriodSeconds": 0})
    body = {"metadata": {"finalizers": None}}
    client.call("PATCH", client.pods(name), what="let go", body=body, kind=MERGE, allow=(404,))


def shuts(strategy: str) -> Deed:
    """Ends the workflow as the buttons of Argo's UI do."""

    def deed(stage: Stage, job_id: str) -> None:
        assert stage.namespace is not None
        client = stage.namespace.client
        path = client.workflows(stage.workflow(job_id))
        client.call("PATCH", path, what=strategy, body={"spec": {"shutdown": strategy}}, kind=MERGE)

    return deed


def deletes_workflow(stage: Stage, job_id: str) -> None:
    """As `kubectl delete workflow` does."""
    assert stage.namespace is not None
    client = stage.namespace.client
    client.call("DELETE", client.workflows(stage.workflow(job_id)), what="delete")


def suspends_and_cancels(stage: Stage, job_id: str) -> None:
    """Suspends the workflow in the UI, which makes Argo deaf to a shutdown, then cancels the job."""
    assert stage.namespace is not None
    client = stage.namespace.client
    client.call(
        "PATCH", client.workflows(stage.workflow(job_id)), what="suspend", body={"spec": {"suspend": True}}, kind=MERGE
    )
    time.sleep(2)  # a person's time
    stage.cancel(job_id)


def removes_secret(stage: Stage, job_id: str) -> None:
    """Takes the job's Secret away while its first step runs."""
    assert stage.namespace is not None
    client = stage.namespace.client
    name = stage.workflow(job_id)
    stage.until(job_id, lambda job: job["state"] == "running")
    client.call("DELETE", client.secrets(name), what="remove")


def forbids_pods(stage: Stage, job_id: str) -> None:
    """Gives the namespace a quota that leaves no room for the next pod."""
    assert stage.namespace is not None
    namespace = stage.namespace
    stage.until(job_id, lambda job: job["state"] == "running")
    path = f"/api/v1/namespaces/{namespace.name}/resourcequotas"
    namespace.post(path, {"metadata": {"name": "none-left"}, "spec": {"hard": {"pods": "0"}}})


def allows_pods(stage: Stage, _: str) -> None:
    """Takes the quota away again."""
    assert stage.namespace is not None
    path = f"/api/v1/namespaces/{stage.namespace.name}/resourcequotas/none-left"
    stage.namespace.client.call("DELETE", path, what="remove quota", allow=(404,))


def blocks_checkpoints(stage: Stage, job_id: str) -> None:
    """Lets the storage refuse this job's checkpoints: a file lies where their folder would be."""
    folder = stage.storage / "checkpoints" / "test-jobs"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"job_{job_id}").write_text("in the way")


LONG = toy(epochs=500, seconds=1)
RESUMED = toy(epochs=10, seconds=1)
WHOLE = tuple(range(1, 11))

ONLY = (
    Scenario(
        name="evicted", job=RESUMED, deed=after_epoch(3, on_pod("train", evict)),
        state="succeeded", reason="completed", tries=2, epochs=WHOLE,
    ),
    Scenario(
        name="pod-deleted", job=RESUMED, deed=after_epoch(3, on_pod("train", delete)),
        state="succeeded", reason="completed", tries=2, epochs=WHOLE,
    ),
    Scenario(
        name="pod-vanished", job=RESUMED, deed=after_epoch(3, on_pod("train", vanish)),
        state="succeeded", reason="completed", tries=1, epochs=WHOLE,
    ),
    Scenario(
        name="deaf-to-sigterm", job=custom(scripts.ONCE_DEAF, limits={"no_heartbeat": "3m"}),
        deed=after_epoch(2, on_pod("train", delete)), state="succeeded", reason="no_checkpoint", tries=2,
    ),
    Scenario(
        name="exits-0-on-sigterm", job=custom(scripts.EXITS_0_ON_SIGTERM), deed=after_epoch(2, on_pod("train", delete)),
        state="failed", reason="preempted", says="exit code 0", replayed=False,
    ),
    Scenario(
        name="stopped-in-the-ui", job=LONG, deed=after_epoch(2, shuts("Stop")),
        state="failed", reason="stopped", says="stopped in the engine, not through Tiphys",
    ),
    Scenario(
        name="terminated-in-the-ui", job=LONG, deed=after_epoch(2, shuts("Terminate")),
        state="failed", reason="terminated", says="terminated in the engine",
    ),
    Scenario(
        name="deleted", job=LONG, deed=after_epoch(2, deletes_workflow),
        state="failed", reason="workflow_deleted", says="not through Tiphys",
    ),
    Scenario(
        name="suspended-then-cancelled", job=LONG, deed=after_epoch(2, suspends_and_cancels),
        state="cancelled", reason="user",
    ),
    Scenario(
        name="image-missing", job=custom(scripts.WHOLE, image=ABSENT),
        state="failed", reason="image_pull", says=ABSENT,
    ),
    Scenario(
        name="unschedulable", job=custom(scripts.WHOLE, resources={"gpu": 16, "cpu": 1, "memory": "1Gi"}),
        state="failed", reason="unschedulable", says="Insufficient nvidia.com/gpu", tries=1,
    ),
    Scenario(
        name="secret-missing", job=toy(), deed=removes_secret,
        state="failed", reason="missing_secret", says="not found", tries=None,
    ),
    Scenario(
        # The report at exit has no room either, and is given its three minutes.
        name="quota", job=toy(), deed=forbids_pods, undo=allows_pods, seconds=420,
        state="failed", reason="quota", says="exceeded quota", tries=0,
    ),
    Scenario(
        name="upload-fails", job=toy(), deed=blocks_checkpoints, state="failed", reason="temporary", says="upload"
    ),
)  # fmt: skip
