"""The verdict on every kind of end that a real controller has written, and on the trainer's own words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.jobs.status import Reason, State
from api.reconciler.causes import with_cure, with_dataset
from api.reconciler.nodes import moment
from api.reconciler.verdict import Ending, Verdict, verdict
from tests.api.reconciler.recorded import ending

F, S, C = State.FAILED, State.SUCCEEDED, State.CANCELLED
BASE: dict[str, Any] = {"checkpoints": 2}


def judge(scenario: str, **facts: Any) -> Verdict:
    workflow = ending(scenario)
    shutdown = workflow["spec"].get("shutdown")
    return verdict(Ending(status=workflow["status"], manifest=workflow, shutdown=shutdown, **(BASE | facts)))


@pytest.mark.parametrize(
    ("scenario", "state", "reason", "says"),
    [
        ("success", S, Reason.COMPLETED, "Trained"),
        ("train-exit-75-then-success", S, Reason.COMPLETED, "Trained"),
        ("kubelet-evicts", S, Reason.COMPLETED, "Trained"),
        ("onexit-fails", S, Reason.COMPLETED, "Trained"),
        ("train-exit-1", F, Reason.TRAINING_ERROR, "Step train failed: dataset has 0 labels. Cure:"),
        ("train-fails-onexit-fails", F, Reason.TRAINING_ERROR, "Step train failed with exit code 1 and gave no cause"),
        ("fetch-fails", F, Reason.UNKNOWN_ERROR, "no such dataset: 42"),
        ("retry-exhausted", F, Reason.TEMPORARY, "after 4 tries"),
        ("oom", F, Reason.OOM, "its limit of 96Mi"),
        ("oom-child", F, Reason.OOM, "lower hyperparameters.batch"),
        ("step-deadline", F, Reason.STEP_DEADLINE, "Step train took longer than its limit of 6s"),
        ("step-deadline-not-retried", F, Reason.STEP_DEADLINE, "Step train took longer"),
        ("workflow-deadline", F, Reason.DEADLINE, "The job took longer than its limit of 18s, in step train"),
        ("pending-meets-workflow-deadline", F, Reason.DEADLINE, "raise limits.total"),
        ("upload-fails", F, Reason.UPLOAD_FAILED, "Step upload failed"),
        ("output-parameter-missing-train", F, Reason.UNKNOWN_ERROR, "left an output unwritten"),
        ("pod-deleted-trainer-deaf", F, Reason.KILLED, "SIGKILL"),
        ("pending-timeout-no-retry", F, Reason.RESOURCE_ERROR, "waited too long"),
        ("stop-while-training", F, Reason.STOPPED, "stopped in the engine, not through Tiphys"),
        ("stop-trainer-exits-0", F, Reason.STOPPED, "retry"),
        ("unschedulable", F, Reason.STOPPED, "stopped in the engine"),
        ("terminate-while-training", F, Reason.TERMINATED, "terminated in the engine"),
        ("unschedulable-terminated", F, Reason.TERMINATED, "terminated"),
        ("invalid-template-ref", F, Reason.REFUSED, "template name 'nope' undefined"),
        ("invalid-service-account", F, Reason.REFUSED, "is forbidden"),
    ],
)
def test_a_recorded_end_is_named(scenario: str, state: State, reason: Reason, says: str) -> None:
    found = judge(scenario)
    assert (found.state, found.reason) == (state, reason)
    assert says in found.message
    if state is F:
        assert "Cure: " in found.message
        assert "\n" not in found.message


def test_a_failing_exit_handler_leaves_the_job_succeeded_with_a_warning() -> None:
    found = judge("onexit-fails")
    assert found.state is S
    assert "report at exit failed" in found.warnings[0]


def test_no_checkpoint_is_told_with_its_cure() -> None:
    found = judge("success", checkpoints=0, done={"status": "succeeded"})
    assert (found.state, found.reason) == (S, Reason.NO_CHECKPOINT)
    assert "upload_checkpoint()" in found.message


def test_an_upload_that_finds_no_checkpoint_says_so() -> None:
    workflow = ending("upload-fails")
    upload = next(n for n in workflow["status"]["nodes"].values() if n["templateName"] == "upload")
    upload["message"] = "main: Error (exit code 1): CHECKPOINT_ERROR: run/ holds neither best nor last"
    facts: dict[str, Any] = {"status": workflow["status"], "manifest": workflow}
    told = {"status": "failed", "error_type": "CHECKPOINT_ERROR", "error": "run/ holds neither best nor last"}
    for done in ({"status": "succeeded"}, told, None):
        found = verdict(Ending(done=done, **facts))
        assert (found.state, found.reason) == (F, Reason.NO_CHECKPOINT)
        assert "run/ holds neither best nor last" in found.message
    assert verdict(Ending(checkpoints=1, **facts)).reason is Reason.CHECKPOINT_ERROR


@pytest.mark.parametrize(
    ("done", "reason"),
    [
        ({"error_type": "DATASET_ERROR", "error": "class 7 has no images"}, Reason.DATASET_ERROR),
        ({"error_type": "VALIDATION_ERROR", "error": "loss is NaN in epoch 3"}, Reason.DIVERGED),
        ({"error_type": "RESOURCE_ERROR", "error": "CUDA out of memory. Tried to allocate 2 GiB"}, Reason.GPU_OOM),
        ({"error_type": "RESOURCE_ERROR", "error": "GPU is full", "detail": "gpu_oom"}, Reason.GPU_OOM),
        ({"error_type": "UNKNOWN_ERROR", "error": "[Errno 28] No space left on device"}, Reason.DISK_FULL),
        ({"error_type": "RESOURCE_ERROR", "error": "x", "data": {"detail": "disk_full"}}, Reason.DISK_FULL),
        ({"error_type": "NO_SUCH_TYPE", "error": "odd"}, Reason.TRAINING_ERROR),
        ({"error": "CONFIG_ERROR: unknown key mosiac"}, Reason.CONFIG_ERROR),
    ],
)
def test_the_trainers_word_gives_reason_and_message(done: dict[str, Any], reason: Reason) -> None:
    found = judge("train-exit-1", done={"status": "failed", **done})
    assert (found.state, found.reason) == (F, reason)
    assert str(done["error"]).partition(": ")[2] in found.message or str(done["error"]) in found.message


def test_of_a_traceback_only_the_last_line_is_told() -> None:
    error = 'Traceback (most recent call last):\n  File "t.py", line 1, in f\nValueError: labels are empty\n'
    found = judge("train-exit-1", done={"status": "failed", "error": error, "error_type": "TRAINING_ERROR"})
    assert "ValueError: labels are empty. Cure:" in found.message
    assert "t.py" not in found.message


def test_memory_outweighs_the_trainers_word() -> None:
    assert judge("oom-child", done={"status": "failed", "error": "worker died"}).reason is Reason.OOM


def with_exit(code: int, message: str = "") -> dict[str, Any]:
    workflow = ending("train-exit-1")
    for node in workflow["status"]["nodes"].values():
        if node["templateName"] == "train":
            node["outputs"] = {"exitCode": str(code)}
            if node["type"] == "Pod":
                node["message"] = message or f"main: Error (exit code {code})"
    return workflow


def test_exit_2_after_an_accepted_report_is_success() -> None:
    workflow = with_exit(2)
    told = {"status": "succeeded", "final_metrics": {"val/mAP50-95": 0.41234}}
    facts: dict[str, Any] = {"status": workflow["status"], "manifest": workflow, "primary_metric": "val/mAP50-95"}
    found = verdict(Ending(done=told, checkpoints=1, **facts))
    assert (found.state, found.reason, found.message) == (S, Reason.COMPLETED, "Trained: val/mAP50-95 0.4123.")
    assert found.warnings
    mute = verdict(Ending(checkpoints=1, **facts))
    assert (mute.state, mute.reason) == (F, Reason.REPORT_FAILED)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("main: Error (exit code 143)", Reason.PREEMPTED),
        ("Pod was terminated in response to imminent node shutdown.", Reason.PREEMPTED),
        ("Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. ", Reason.EPHEMERAL_STORAGE),
    ],
)
def test_exit_143_is_preemption_unless_the_kubelet_names_a_cause(message: str, reason: Reason) -> None:
    workflow = with_exit(143, message)
    assert verdict(Ending(status=workflow["status"], manifest=workflow)).reason is reason


def test_a_word_from_before_the_last_try_does_not_count() -> None:
    workflow = ending("train-exit-75-then-success")
    first = next(n for n in workflow["status"]["nodes"].values() if n["name"].endswith("train(0)"))
    began = moment(first["startedAt"])
    assert began is not None
    early = {"status": "failed", "error": "storage away", "error_type": "NETWORK_ERROR"}
    assert judge("train-exit-75-then-success", done=early, done_at=began + timedelta(seconds=2)).state is S
    assert judge("train-exit-75-then-success", done=early, done_at=datetime(2030, 1, 1, tzinfo=UTC)).state is F


def test_a_trainer_that_was_told_to_end_has_not_succeeded() -> None:
    found = judge("pod-deleted-trainer-exits-0", done={"status": "cancelled"})
    assert (found.state, found.reason) == (F, Reason.PREEMPTED)


def test_our_own_stop_for_silence_is_named_and_not_called_foreign() -> None:
    found = judge("stop-while-training", stop_reason="heartbeat_timeout", stop_message="No heartbeat for 30 min")
    assert (found.state, found.reason) == (F, Reason.HEARTBEAT_TIMEOUT)
    assert "No heartbeat for 30 min" in found.message
    assert "limits.no_heartbeat" in found.message


def test_what_a_stopped_workflow_had_waited_for_is_kept() -> None:
    found = judge("unschedulable", waited_for="Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    assert "Insufficient nvidia.com/gpu" in found.message


def test_a_deleted_workflow() -> None:
    gone: dict[str, Any] = {"status": None, "manifest": None}
    found = verdict(Ending(**gone))
    assert (found.state, found.reason) == (F, Reason.WORKFLOW_DELETED)
    assert "retry" in found.message
    assert verdict(Ending(**gone, cancelling=True)).state is C
    told = verdict(Ending(**gone, checkpoints=2, done={"status": "succeeded"}))
    assert told.state is S
    assert told.warnings
    assert verdict(Ending(**gone, done={"status": "succeeded"})).reason is Reason.WORKFLOW_DELETED
    failed = verdict(Ending(**gone, done={"status": "failed", "error_type": "CONFIG_ERROR", "error": "batch 0"}))
    assert (failed.state, failed.reason) == (F, Reason.CONFIG_ERROR)


def test_a_changed_dataset_is_not_told_to_be_checked() -> None:
    said = "the dataset has changed: 1 document changed: annotations.json; restore the dataset, or start a new job"
    assert with_cure(said, Reason.DATASET_ERROR) == f"{said}."
    assert "tiphys dataset check" in with_cure("[box_empty] the box has no area", Reason.DATASET_ERROR)


def test_a_cure_names_the_dataset_of_the_job() -> None:
    told = with_dataset(with_cure("the box has no area", Reason.DATASET_ERROR), "pets")
    assert "`tiphys dataset check pets`" in told
    assert "`tiphys dataset fix pets`" in told
    assert "'/data/my pets'" in with_dataset(with_cure("no area", Reason.DATASET_ERROR), "/data/my pets")
    other = with_cure("it did not converge", Reason.DIVERGED)
    assert with_dataset(other, "pets") == other


def given(nodes: dict[str, dict[str, Any]], *, phase: str, message: str = "", root: str = "Running") -> dict[str, Any]:
    """A workflow's status of some nodes below a DAG."""
    made = {"job": {"id": "job", "name": "job", "type": "DAG", "phase": root}}
    for step, node in nodes.items():
        made[step] = {"id": step, "name": f"job.{step}", "templateName": step, "type": "Pod"} | node
    return {"phase": phase, "message": message, "nodes": made}


STEPS = ("download", "convert", "train", "upload", "report")
DONE = {step: {"phase": "Succeeded", "outputs": {"exitCode": "0"}} for step in STEPS}


def test_a_controller_that_gave_up_is_no_success() -> None:
    status = given({**DONE, "train": {"phase": "Running"}}, phase="Error", message="runtime error: index out of range")
    found = verdict(Ending(status=status, manifest={}, checkpoints=2))
    assert (found.state, found.reason) == (F, Reason.ENGINE_ERROR)
    assert "index out of range" in found.message
    odd = {"type": "Skipped", "phase": "Error", "message": "task 'train' errored: no such template"}
    found = verdict(Ending(status=given({"train": odd}, phase="Error", root="Error"), manifest={}))
    assert found.state is F
    assert "no such template" in found.message


@pytest.mark.parametrize("stop_reason", ["unschedulable", None])
def test_terminated_while_it_waited_is_no_success_though_an_older_argo_calls_it_one(stop_reason: str | None) -> None:
    waited = {"phase": "Failed", "message": "workflow shutdown with strategy:  Terminate"}
    status = given({**DONE, "train": waited}, phase="Succeeded", root="Succeeded")
    found = verdict(Ending(status=status, manifest={}, shutdown="Terminate", stop_reason=stop_reason))
    assert (found.state, found.reason) == (F, stop_reason or Reason.TERMINATED)


def test_a_stop_during_the_report_at_exit_leaves_the_job_whole() -> None:
    last = {"type": "Pod", "name": "job.onExit", "templateName": "on-exit", "phase": "Failed",
            "message": "workflow shutdown with strategy:  Stop"}  # fmt: skip
    status = given({**DONE, "on-exit": last}, phase="Failed", message="Stopped with strategy 'Stop'", root="Succeeded")
    found = verdict(Ending(status=status, manifest={}, shutdown="Stop", checkpoints=2))
    assert (found.state, found.reason) == (S, Reason.COMPLETED)
    assert any("report at exit" in warning for warning in found.warnings)
    broken = {**DONE, "train": {"phase": "Failed", "message": "main: Error (exit code 1): bad labels"} | EXIT_1}
    status = given({**broken, "on-exit": last}, phase="Failed", message="Stopped with strategy 'Stop'", root="Failed")
    found = verdict(Ending(status=status, manifest={}, shutdown="Stop", stop_reason="image_pull"))
    assert found.reason is Reason.TRAINING_ERROR
    assert "bad labels" in found.message


EXIT_1 = {"outputs": {"exitCode": "1"}}
EXIT_2 = {"phase": "Failed", "message": "main: Error (exit code 2)", "outputs": {"exitCode": "2"}}


def test_exit_2_of_a_program_that_never_spoke_is_its_own_error() -> None:
    status = given({**DONE, "train": EXIT_2}, phase="Failed", root="Failed")
    assert verdict(Ending(status=status, manifest={})).reason is Reason.TRAINING_ERROR
    assert verdict(Ending(status=status, manifest={}, epoch=3)).reason is Reason.REPORT_FAILED


def test_an_executor_that_could_not_say_so_is_temporary() -> None:
    words = {"phase": "Error", "message": "wait: Error (exit code 1): dial tcp 10.0.0.1:443: i/o timeout"}
    status = given({**DONE, "train": words | {"outputs": {"exitCode": "0"}}}, phase="Error", root="Error")
    assert verdict(Ending(status=status, manifest={})).reason is Reason.TEMPORARY


@pytest.mark.parametrize(
    ("told_after", "epoch", "reason"),
    [(60, 3, "preempted"), (-2, 3, "completed"), (60, 10, "completed")],
    ids=["the report step spoke for it", "it spoke for itself", "it had come to its end"],
)
def test_a_trainer_that_takes_sigterm_for_its_end_is_found_out(told_after: int, epoch: int, reason: str) -> None:
    gone = {"pod": {"gone": True}, "finishedAt": "2026-11-21T13:54:00Z"}
    status = given({**DONE, "train": DONE["train"] | gone}, phase="Succeeded", root="Succeeded")
    at = datetime(2026, 11, 21, 13, 54, tzinfo=UTC) + timedelta(seconds=told_after)
    found = verdict(
        Ending(status=status, manifest={}, checkpoints=2, done={"status": "succeeded"}, done_at=at, epoch=epoch,
               total_epochs=10)
    )  # fmt: skip
    assert found.reason == reason
