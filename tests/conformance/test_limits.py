"""A namespace that its operator has set limits for: each is met, and named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.namespace import Namespace
from tests.conformance import scripts
from tests.conformance.record import record_of, tries
from tests.conformance.recording import FOLDER, Recorder
from tests.conformance.scenarios import custom, toy
from tests.conformance.stage import Stage, argo_stage
from workflows.argo.access import Access
from workflows.argo.client import MERGE, Client

pytestmark = [pytest.mark.argo, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def limited(
    dataset: Path, cluster: Access, argo: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stage, Namespace]]:
    """A platform of its own: what is done to its namespace, no other test feels."""
    with argo_stage(tmp_path_factory.mktemp("limited"), dataset, cluster, argo) as stage:
        assert stage.namespace is not None
        yield stage, stage.namespace


def warnings(stage: Stage, job_id: str) -> str:
    """Returns what the platform has warned of."""
    return "\n".join(event["message"] for event in stage.events(job_id) if event["event_type"] == "waiting")


def test_a_pod_that_fills_the_nodes_disk_is_named_and_not_tried_again(limited: tuple[Stage, Namespace]) -> None:
    stage, namespace = limited
    # Of two containers: what Argo's executor takes for its own program (up to 160 MB) is not yet too much.
    limits = {"limits": [{"type": "Container", "default": {"ephemeral-storage": "192Mi"}}]}
    path = f"/api/v1/namespaces/{namespace.name}/limitranges"
    namespace.post(path, {"metadata": {"name": "small-disks"}, "spec": limits})
    recorder = Recorder(Client(replace(namespace.admin, namespace=namespace.name)))
    job_id = stage.submit(custom(scripts.FILLS_TMP))
    try:
        job = stage.ended(job_id)
    finally:
        namespace.client.call("DELETE", f"{path}/small-disks", what="remove limits")
    assert (job["state"], job["reason"]) == ("failed", "ephemeral_storage"), job["message"]
    assert "Pod ephemeral local storage usage exceeds the total limit of containers" in job["message"]
    assert "$WORK_DIR" in job["message"]
    assert tries(job) == 1
    assert record_of(stage, job_id)["epochs"]
    if folder := os.environ.get(FOLDER):
        recorder.keep(stage.workflow(job_id), Path(folder) / "disk-limit.jsonl.gz")
    recorder.close()


def test_a_job_waits_for_its_turn_where_argo_runs_few_at_once(limited: tuple[Stage, Namespace]) -> None:
    stage, namespace = limited
    label = "workflows.argoproj.io/parallelism-limit"
    path = f"/api/v1/namespaces/{namespace.name}"

    def at_once(count: str | None) -> None:
        body = {"metadata": {"labels": {label: count}}}
        namespace.client.call("PATCH", path, what="limit", body=body, kind=MERGE)

    at_once("1")
    recorder = Recorder(Client(replace(namespace.admin, namespace=namespace.name)))
    try:
        first = stage.submit(toy(epochs=500, seconds=1))
        stage.until(first, lambda job: (job["epoch"] or 0) >= 2)
        second = stage.submit(toy())
        stage.until(second, lambda job: "too many workflows are already running" in warnings(stage, second))
        assert stage.job(second)["state"] == "queued"
        stage.cancel(first)
        job = stage.ended(second)
    finally:
        at_once(None)
    assert (job["state"], job["reason"]) == ("succeeded", "completed"), job["message"]
    if folder := os.environ.get(FOLDER):
        recorder.keep(stage.workflow(second), Path(folder) / "waits-for-its-turn.jsonl.gz")
    recorder.close()
