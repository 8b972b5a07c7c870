"""What surrounds a platform is wrong or away: the job says so, or is none the worse for it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conformance import scripts
from tests.conformance.record import record_of
from tests.conformance.scenarios import custom, toy
from tests.conformance.stage import Stage, argo_stage
from workflows.argo.access import Access

pytestmark = [pytest.mark.argo, pytest.mark.timeout(600)]

CONTROLLER = Path(os.environ.get("TIPHYS_TEST_CONTROLLER_PID", "~/.cluster/pid/workflow-controller")).expanduser()


def test_a_cache_that_is_not_there_is_named(dataset: Path, cluster: Access, argo: str, tmp_path: Path) -> None:
    with argo_stage(tmp_path, dataset, cluster, argo, TIPHYS_CACHE_CLAIM="no-such-claim") as stage:
        job = stage.ended(stage.submit(toy()))
    assert (job["state"], job["reason"]) == ("failed", "volume"), job["message"]
    assert '"no-such-claim" not found' in job["message"]
    assert "TIPHYS_CACHE_CLAIM" in job["message"]


def test_an_account_that_is_not_there_is_named(dataset: Path, cluster: Access, argo: str, tmp_path: Path) -> None:
    with argo_stage(tmp_path, dataset, cluster, argo, TIPHYS_WORKFLOW_SERVICE_ACCOUNT="nobody-here") as stage:
        job = stage.ended(stage.submit(toy()))
    assert (job["state"], job["reason"]) == ("failed", "refused"), job["message"]
    assert "nobody-here" in job["message"]


def test_a_controller_that_is_away_while_a_training_ends_is_waited_for(cluster_stage: Stage) -> None:
    if not CONTROLLER.exists():
        pytest.skip(f"the controller is no process of this machine: {CONTROLLER} names none")
    pid = int(CONTROLLER.read_text())
    job_id = cluster_stage.submit(toy(epochs=6, seconds=1))
    cluster_stage.until(job_id, lambda job: (job["epoch"] or 0) >= 3)
    os.kill(pid, signal.SIGSTOP)
    try:
        cluster_stage.until(job_id, lambda job: job["epoch"] == 6)
        time.sleep(20)  # the training ends unseen
        assert cluster_stage.job(job_id)["state"] == "running"
    finally:
        os.kill(pid, signal.SIGCONT)
    job = cluster_stage.ended(job_id)
    assert (job["state"], job["reason"]) == ("succeeded", "completed"), job["message"]
    assert record_of(cluster_stage, job_id)["epochs"] == [1, 2, 3, 4, 5, 6]


def test_settings_that_lead_to_another_namespace_end_nothing(cluster_stage: Stage) -> None:
    platform = cluster_stage.platform
    job_id = cluster_stage.submit(toy(epochs=60, seconds=1))
    cluster_stage.until(job_id, lambda job: (job["epoch"] or 0) >= 2)
    here = platform.environment["TIPHYS_ARGO_NAMESPACE"]
    platform.down()
    try:
        platform.environment["TIPHYS_ARGO_NAMESPACE"] = "default"
        platform.up()
        epoch = cluster_stage.until(job_id, lambda job: "elsewhere" in kinds(cluster_stage, job_id))["epoch"]
        cluster_stage.until(job_id, lambda job: job["epoch"] > epoch + 5)  # it trains on, and is heard
    finally:
        platform.down()
        platform.environment["TIPHYS_ARGO_NAMESPACE"] = here
        platform.up()
    job = cluster_stage.ended(job_id)
    assert (job["state"], job["reason"]) == ("succeeded", "completed"), job["message"]
    assert record_of(cluster_stage, job_id)["epochs"] == list(range(1, 61))


def kinds(stage: Stage, job_id: str) -> list[str]:
    """Returns the kinds of a job's events."""
    return [event["event_type"] for event in stage.events(job_id)]


def test_a_cancel_while_the_reconciler_is_away_is_carried_out_when_it_is_back(cluster_stage: Stage) -> None:
    job_id = cluster_stage.submit(custom(scripts.BEATS))
    cluster_stage.until(job_id, lambda job: (job["epoch"] or 0) >= 2)
    reconciler = int((cluster_stage.platform.home / "reconciler.lock").read_text())
    os.kill(reconciler, signal.SIGSTOP)  # whoever would carry it out stands still
    cluster_stage.cancel(job_id)
    time.sleep(5)
    assert cluster_stage.job(job_id)["state"] == "cancelling"
    os.kill(reconciler, signal.SIGKILL)
    job = cluster_stage.ended(job_id)
    assert (job["state"], job["reason"]) == ("cancelled", "user"), job["message"]
    assert not cluster_stage.trainers(job_id)
