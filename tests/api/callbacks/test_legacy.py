"""The older words land in the same records."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.settings import Settings
from tests.api.callbacks.conftest import MakeTrainer, Trainer
from tests.api.factories import USER_TOKEN

GO_ON = {"status": "ok", "should_continue": True}


def internal(trainer: Trainer, method: str, what: str, body: Any = None) -> httpx.Response:
    """Calls as the trainers that know INTERNAL_AUTH_TOKEN do."""
    return trainer.client.request(
        method,
        f"/internal/training/{trainer.job.id}/{what}",
        json=body,
        headers={"Authorization": "", "X-Internal-Auth": trainer.token},
    )


def sdk(trainer: Trainer, what: str, body: Any) -> httpx.Response:
    """Calls as the older single-file SDK does."""
    path = what if what.startswith("validation/") else f"training/jobs/{trainer.job.id}/callback/{what}"
    return trainer.client.post(f"/api/v1/{path}", json=body, headers=trainer.headers)


def test_running_is_a_heartbeat(trainer: Trainer) -> None:
    body = {"status": "running", "progress": 40.0, "error": None, "updated_at": "2025-11-03T10:00:00"}
    assert internal(trainer, "PATCH", "status", body).json() == GO_ON
    assert trainer.now().progress == 40.0
    assert trainer.beats()[0].extra == {"status": "running", "updated_at": "2025-11-03T10:00:00"}


@pytest.mark.parametrize(("word", "kept"), [("completed", "succeeded"), ("failed", "failed"), ("stopped", "cancelled")])
def test_an_ending_is_a_done(trainer: Trainer, word: str, kept: str) -> None:
    assert internal(trainer, "PATCH", "status", {"status": word, "error": "e", "progress": 100}).status_code == 200
    attempt = trainer.told()
    assert attempt.done_status == kept
    assert attempt.done is not None
    assert attempt.done["error"] == "e"
    assert trainer.now().state == "running"


def test_an_unknown_status_422(trainer: Trainer) -> None:
    answer = internal(trainer, "PATCH", "status", {"status": "dancing"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "status")


def test_single_metrics_gather_in_their_epoch(trainer: Trainer) -> None:
    for name, value in (("loss", 0.5), ("acc", 0.0)):
        body = {"name": name, "value": value, "epoch": 2, "metadata": {"a": 1}}
        assert internal(trainer, "POST", "metrics", body).json() == GO_ON
    (row,) = trainer.beats()
    assert (row.epoch, row.metrics) == (2, {"loss": 0.5, "acc": 0.0})
    assert trainer.now().epoch == 2


@pytest.mark.parametrize(
    ("body", "field"), [({"value": 1}, "name"), ({"name": "a"}, "value"), ({"name": "a", "value": "x"}, "metrics.a")]
)
def test_half_a_metric_422(trainer: Trainer, body: dict[str, Any], field: str) -> None:
    answer = internal(trainer, "POST", "metrics", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    "body",
    [
        {"epoch": 3, "total_epochs": 6, "metrics": {"loss": 0.1, "val": {"acc": 0.9}}},
        {"epoch": 3, "total_epochs": 6, "loss": 0.1, "val/acc": 0.9},
    ],
)
def test_metrics_of_an_epoch(trainer: Trainer, body: dict[str, Any]) -> None:
    assert internal(trainer, "POST", "training-metrics", body).json() == GO_ON
    job = trainer.now()
    assert (job.epoch, job.progress, job.metrics) == (3, 50.0, {"loss": 0.1, "val/acc": 0.9})


def test_a_validation_is_metrics_and_an_event(trainer: Trainer) -> None:
    body = {"epoch": 3, "metrics": {"mAP50": 0.0}, "primary_metric_name": "mAP", "primary_metric_value": 0.4}
    assert internal(trainer, "POST", "validation-results", body).json() == GO_ON
    assert trainer.now().metrics == {"mAP": 0.4, "mAP50": 0.0}
    (event,) = trainer.events("validation_complete")
    assert event.data["primary_metric_name"] == "mAP"


def test_a_line_of_the_log_is_an_event(trainer: Trainer) -> None:
    body = {"message": "epoch 1 begins", "level": "INFO", "epoch": 1, "timestamp": "t"}
    assert internal(trainer, "POST", "logs", body).json() == {"status": "ok"}
    (event,) = trainer.events("log")
    assert (event.message, event.level, event.data) == ("epoch 1 begins", "info", {"epoch": 1, "timestamp": "t"})


def test_health_says_how_the_job_stands(trainer: Trainer) -> None:
    assert internal(trainer, "GET", "health").json() == {"status": "ok", "job_status": "running"}


def test_the_older_words_need_a_job_token_too(trainer: Trainer) -> None:
    path = f"/internal/training/{trainer.job.id}"
    for headers in ({"Authorization": ""}, {"Authorization": f"Bearer {USER_TOKEN}"}, {"X-Internal-Auth": "secret"}):
        assert trainer.client.get(f"{path}/health", headers=headers).status_code == 401
        assert trainer.client.patch(f"{path}/status", json={"status": "failed"}, headers=headers).status_code == 401
    callback = f"/api/v1/training/jobs/{trainer.job.id}/callback/progress"
    assert trainer.client.post(callback, json={}, headers={"Authorization": f"Bearer {USER_TOKEN}"}).status_code == 401


def test_progress_of_the_older_sdk(trainer: Trainer) -> None:
    body = {
        "job_id": trainer.job.id,
        "status": "running",
        "current_epoch": 3,
        "total_epochs": 10,
        "progress_percent": 30.0,
        "metrics": {"loss": 0.4, "accuracy": 0.0, "learning_rate": 0.01, "extra_metrics": {"mAP50": 0.8}},
        "extra_data": {"a": 1},
    }
    answer = sdk(trainer, "progress", body)
    assert answer.json() == {"success": True, "message": "recorded", "job_status": "running"}
    job = trainer.now()
    assert (job.epoch, job.total_epochs, job.progress) == (3, 10, 30.0)
    assert job.metrics == {"loss": 0.4, "accuracy": 0.0, "learning_rate": 0.01, "mAP50": 0.8}


def test_the_start_of_the_older_sdk(trainer: Trainer) -> None:
    body = {"status": "running", "current_epoch": 0, "total_epochs": 10, "progress_percent": 0, "metrics": None}
    assert sdk(trainer, "progress", body).status_code == 200
    assert (trainer.now().progress, trainer.now().total_epochs) == (0.0, 10)


def test_completion_of_the_older_sdk(trainer: Trainer) -> None:
    body = {
        "status": "completed",
        "total_epochs_completed": 10,
        "final_metrics": {"loss": 0.1, "extra_metrics": {"mAP50": 0.9}},
        "exit_code": 0,
        "best_checkpoint_path": "s3://b/best.pt",
        "last_checkpoint_path": "s3://b/last.pt",
    }
    assert sdk(trainer, "completion", body).json()["success"] is True
    attempt = trainer.told()
    assert attempt.done_status == "succeeded"
    assert attempt.done is not None
    assert attempt.done["epochs_completed"] == 10
    assert trainer.now().final_metrics == {"loss": 0.1, "mAP50": 0.9}
    assert {kind: row.uri for kind, row in trainer.checkpoints().items()} == {
        "best": "s3://b/best.pt",
        "last": "s3://b/last.pt",
    }


def test_failure_of_the_older_sdk_names_its_type(trainer: Trainer) -> None:
    sdk(trainer, "completion", {"status": "failed", "error_message": "[DATASET_ERROR] no images", "traceback": "tb"})
    attempt = trainer.told()
    assert attempt.done is not None
    assert (attempt.done["error_type"], attempt.done["error"], attempt.done["traceback"]) == (
        "DATASET_ERROR",
        "no images",
        "tb",
    )


def test_logs_and_validation_of_the_older_sdk(trainer: Trainer) -> None:
    assert sdk(trainer, "logs", {"event_type": "info", "message": "m", "level": "INFO", "data": {}}).status_code == 200
    body = {"epoch": 1, "metrics": {"mAP50": 0.5}, "primary_metric_name": "mAP50", "primary_metric_value": 0.5}
    assert sdk(trainer, f"validation/jobs/{trainer.job.id}/results", body).status_code == 200
    assert [event.event_type for event in trainer.events()] == ["info", "validation_complete"]
    assert trainer.now().metrics == {"mAP50": 0.5}


def test_an_older_trainer_hears_a_cancel(make_trainer: MakeTrainer, settings: Settings) -> None:
    trainer = make_trainer(state="cancelling")
    answer = internal(trainer, "PATCH", "status", {"status": "running", "progress": 1})
    assert answer.json() == {"status": "ok", "should_continue": False}
    assert sdk(trainer, "progress", {"current_epoch": 1, "metrics": {}}).json()["job_status"] == "cancelling"
