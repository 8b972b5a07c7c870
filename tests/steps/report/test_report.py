"""The report step delivers the end of a training to a real server, and says at exit why a workflow failed."""

import json
from pathlib import Path
from typing import Any

import pytest

from steps.report.__main__ import main
from steps.report.failures import last_failure, read_failures
from tests.steps.download.running import Ran, run_step
from tests.steps.wire import Platform, example

TOKEN = "job-token"


def online(platform: Platform) -> dict[str, str]:
    return {
        "JOB_ID": "abcd2345", "TRACE_ID": "0" * 32, "BACKEND_BASE_URL": platform.url, "CALLBACK_TOKEN": TOKEN,
        "TASK_TYPE": "object_detection", "MODEL_NAME": "yolo11n", "DATASET_ID": "digits", "EPOCHS": "3",
        "BATCH_SIZE": "2", "LEARNING_RATE": "0.1", "STORAGE_BUCKET": "b",
        "CONFIG": '{"primary_metric": "val/mAP50-95"}',
    }  # fmt: skip


def at_exit(work: Path, failures: Any, status: str = "Failed", **env: str) -> Ran:
    text = failures if isinstance(failures, str) else json.dumps(json.dumps(failures))
    return run_step("report", work, "--on-exit", f"--status={status}", f"--failures={text}", **env)


def test_what_the_trainer_said_is_delivered_again(workspace: Path, platform: Platform) -> None:
    said = {"trace_id": "0" * 32, "status": "succeeded", "final_metrics": {"a": 1.0}, "artifacts": {}}
    (workspace / "done.json").write_text(json.dumps(said))
    assert run_step("report", workspace, **online(platform)).code == 0
    assert platform.calls("done") == [said]
    assert {heard.headers["Authorization"] for heard in platform.heard} == {f"Bearer {TOKEN}"}


def test_a_trainer_that_said_nothing_is_spoken_for(workspace: Path, platform: Platform) -> None:
    for name, text in {
        "train/best_metric": "0.5",
        "train/epochs": "3",
        "upload/checkpoint_uri": "s3://b/epoch_7.pt",
    }.items():
        path = workspace / "outputs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert run_step("report", workspace, **online(platform)).code == 0
    done = platform.calls("done")[0]
    assert set(example("done", "succeeded")) - set(done) == {"training_time_seconds"}, "nobody here knows the time"
    assert (done["status"], done["final_metrics"], done["epochs_completed"]) == ("succeeded", {"val/mAP50-95": 0.5}, 3)
    assert done["artifacts"] == {"epoch_7": "s3://b/epoch_7.pt"}


def test_a_platform_that_refuses_is_tried_again_by_the_pipeline(
    workspace: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "done.json").write_text('{"status": "succeeded"}')
    platform.answer = lambda heard: (403, {}, {"detail": "no"})
    assert run_step("report", workspace, **online(platform)).code == 75
    (workspace / "done.json").unlink()
    assert run_step("report", workspace, **online(platform)).code == 75


def test_at_exit_the_platform_may_be_away(workspace: Path, platform: Platform) -> None:
    platform.answer = lambda heard: (404, {}, {"code": "not_found", "detail": "unknown job"})
    ran = at_exit(workspace, [{"displayName": "train", "message": "x"}], **online(platform))
    assert ran.code == 0
    assert "could not be told" in ran.out


def test_at_exit_a_mute_failure_is_told(workspace: Path, platform: Platform) -> None:
    failures = [
        {"displayName": "train", "message": "No more retries left", "finishedAt": "2026-01-01T00:00:03Z"},
        {"displayName": "train(0)", "message": "main: Error (exit code 1): DATASET_ERROR: no images",
         "finishedAt": "2026-01-01T00:00:02Z"},
    ]  # fmt: skip
    assert at_exit(workspace, failures, **online(platform)).code == 0
    done = platform.calls("done")[0]
    assert (done["status"], done["error_type"], done["error"]) == ("failed", "DATASET_ERROR", "no images")
    assert json.loads((workspace / "done.json").read_text())["status"] == "failed"


def failed(step: str, message: str, second: int | None, attempt: int = 0) -> dict[str, Any]:
    finished = None if second is None else f"2026-01-01T00:00:{second:02}Z"
    return {"displayName": f"{step}-x({attempt})", "templateName": step, "message": message, "finishedAt": finished}


def test_a_try_that_was_tried_again_is_not_the_cause() -> None:
    away = "main: Error (exit code 75): NETWORK_ERROR: storage is away"
    failures = [
        failed("train", "main: Error (exit code 1): ValueError: no", 9, attempt=1),
        failed("train", "main: Error (exit code 143)", 9),
        failed("download", away, 2),
        failed("on-exit", "main: Error (exit code 143)", 11),
    ]
    cause = last_failure(json.dumps(failures), status="Failed")
    assert (cause.error_type, cause.message) == ("TRAINING_ERROR", "train: ValueError: no")
    stop = failed("train", "workflow shutdown with strategy:  Stop", None)
    assert last_failure(json.dumps([stop, failed("download", away, 2)]), status="Failed").stopped


def test_at_exit_what_was_said_before_wins(workspace: Path, platform: Platform) -> None:
    (workspace / "done.json").write_text('{"status": "cancelled"}')
    assert at_exit(workspace, [{"displayName": "train", "message": "x"}], **online(platform)).code == 0
    assert platform.calls("done") == [{"status": "cancelled"}]


def test_at_exit_success_needs_no_words(workspace: Path, platform: Platform) -> None:
    assert at_exit(workspace, "{{workflow.failures}}", status="Succeeded", **online(platform)).code == 0
    assert platform.calls("done") == []


def test_at_exit_a_stop_is_no_failure(workspace: Path, platform: Platform) -> None:
    failures = [{"displayName": "train(0)", "message": "workflow shutdown with strategy:  Stop"}]
    assert at_exit(workspace, failures, **online(platform)).code == 0
    assert platform.calls("done")[0]["status"] == "cancelled"


def test_status_and_failures_may_stand_behind_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORK_DIR", str(tmp_path))
    monkeypatch.delenv("BACKEND_BASE_URL", raising=False)
    assert main(["--on-exit", "Failed", '[{"displayName": "convert", "message": "DATASET_ERROR: empty"}]']) == 0
    assert json.loads((tmp_path / "done.json").read_text())["error"] == "empty"


def test_a_broken_done_is_passed_over(workspace: Path, platform: Platform) -> None:
    (workspace / "done.json").write_text('{"status": ')
    assert run_step("report", workspace, **online(platform)).code == 0
    assert platform.calls("done")[0]["status"] == "succeeded"


@pytest.mark.parametrize("text", ["", "null", "{{workflow.failures}}", '"{}"', "[1, 2]", '"[', "[]"])
def test_failures_that_are_none(text: str) -> None:
    assert read_failures(text) == []
    assert last_failure(text, status="Error").message == "the workflow ended as Error, cause unknown"


@pytest.mark.parametrize(
    ("message", "error_type", "words", "detail"),
    [
        ("main: OOMKilled (exit code 137)", "RESOURCE_ERROR", "lower batch", "oom"),
        ("main: Error (exit code 3)", "TRAINING_ERROR", "train: main: Error (exit code 3)", None),
        ("main: Error (exit code 1): RuntimeError: no", "TRAINING_ERROR", "train: RuntimeError: no", None),
        ("CONFIG_ERROR: epochs", "CONFIG_ERROR", "epochs", None),
        ("", "TRAINING_ERROR", "it gave no message", None),
    ],
)
def test_a_message_is_understood(message: str, error_type: str, words: str, detail: str | None) -> None:
    failure = last_failure(json.dumps([{"displayName": "train(1)", "message": message}]), status="Failed")
    assert (failure.error_type, failure.detail) == (error_type, detail)
    assert words in failure.message
