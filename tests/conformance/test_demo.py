"""The demo's job with its real images on a real controller, and its pod evicted in mid-training."""

from __future__ import annotations

import pytest

from tests.conformance.on_argo import evict, on_pod
from tests.conformance.record import record_of, tries
from tests.conformance.scenarios import after_epoch
from tests.conformance.stage import Stage, needs_image

pytestmark = [pytest.mark.argo, pytest.mark.trains, pytest.mark.timeout(1500)]

EPOCHS = 5


def test_a_detector_is_trained_and_goes_on_after_an_eviction(cluster_stage: Stage) -> None:
    assert cluster_stage.namespace is not None
    needs_image(cluster_stage.namespace, "trainer-ultralytics")
    job_id = cluster_stage.submit(
        {
            "name": "digits", "framework": "ultralytics", "model": "yolo11n",
            "hyperparameters": {"epochs": EPOCHS, "batch": 8, "image_size": 96, "seed": 0},
            "advanced_config": {"nbs": 8, "mosaic": 0.0},
            # The test cluster's GPUs are only counted: no device stands behind them.
            "resources": {"gpu": 0, "cpu": 1, "memory": "3Gi", "shared_memory": "256Mi", "workspace": "2Gi"},
        }
    )  # fmt: skip
    after_epoch(2, on_pod("train", evict))(cluster_stage, job_id)
    job = cluster_stage.ended(job_id, seconds=1200)
    assert (job["state"], job["reason"]) == ("succeeded", "completed"), job["message"]
    assert tries(job) == 2
    record = record_of(cluster_stage, job_id)
    assert record["epochs"] == list(range(1, EPOCHS + 1))
    assert record["checkpoints"] == ["best", "last"]
    assert "resumed" in record["trainer"]
