"""What the SDK sends is what tests/contract/v1 says."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from steps import trainer_sdk
from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK
from tests.steps.wire import Platform, environment, example, pinned

TRACE = pinned("environment")["example"]["TRACE_ID"]


@pytest.fixture
def sdk(platform: Platform, workspace: Path) -> Iterator[TrainerSDK]:
    with TrainerSDK(environment(workspace, url=platform.url), heartbeat_seconds=0) as sdk:
        yield sdk


def shape(value: Any) -> Any:
    """A body with each leaf replaced by its type: what two bodies must share to be the same message."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def test_an_epoch_is_a_heartbeat(platform: Platform, sdk: TrainerSDK) -> None:
    sdk.report_progress(5, 10, {"train/box_loss": 0.234, "val/mAP50": 0.0}, {"raw": 1})
    (body,) = platform.calls("heartbeat")
    wanted = example("heartbeat", "sdk")
    assert {**body, "timestamp": wanted["timestamp"]} == {**wanted, "trace_id": TRACE}
    assert shape(body) == shape(wanted)
    assert Path(sdk.environ["ARGO_PROGRESS_FILE"]).read_text() == "5/10\n"


def test_nan_and_infinity_go_as_null_and_are_named(platform: Platform, sdk: TrainerSDK) -> None:
    sdk.report_progress(2, 10, {"loss": math.nan, "val/mAP50": 0.0})
    sdk.report_progress(3, 10, {"loss": 0.5, "grad": -math.inf})
    first, second = platform.calls("heartbeat")
    wanted = example("heartbeat", "non_finite")
    assert {**first, "timestamp": wanted["timestamp"]} == {**wanted, "trace_id": TRACE}
    assert second["metrics"] == {"loss": 0.5, "grad": None}
    assert second["non_finite"] == ["grad"]


def test_numbers_of_numpy_are_numbers(platform: Platform, sdk: TrainerSDK) -> None:
    sdk.heartbeat(
        metrics={"a": numpy.float32(0.5), "b": numpy.int64(3), "c": numpy.float32(math.nan), "d": numpy.ones(2)}
    )
    (body,) = platform.calls("heartbeat")
    assert body["metrics"] == {"a": 0.5, "b": 3, "c": None, "d": [1.0, 1.0]}
    assert body["non_finite"] == ["c"]


def _started(sdk: TrainerSDK) -> None:
    sdk.report_started("training", total_epochs=10)


def _validated(sdk: TrainerSDK) -> None:
    sdk.report_validation(
        epoch=3, task_type="object_detection", primary_metric=("val/accuracy", 0.5), all_metrics={"val/loss": 0.7},
        class_names=["a", "b"], visualization_urls={},
    )  # fmt: skip


@pytest.mark.parametrize(("name", "act"), [("training_started", _started), ("validation_complete", _validated)])
def test_events_have_their_pinned_shape(
    platform: Platform, sdk: TrainerSDK, name: str, act: Callable[[TrainerSDK], None]
) -> None:
    act(sdk)
    (body,) = platform.calls("event")
    wanted = example("event", name)
    assert {**body, "timestamp": wanted["timestamp"]} == {**wanted, "trace_id": TRACE}


def test_a_validation_is_a_heartbeat_too(platform: Platform, sdk: TrainerSDK) -> None:
    _validated(sdk)
    (body,) = platform.calls("heartbeat")
    assert body["metrics"] == {"val/loss": 0.7, "val/accuracy": 0.5}


def test_a_checkpoint_is_uploaded_and_told(platform: Platform, sdk: TrainerSDK, workspace: Path) -> None:
    (workspace / "b.json").write_text("weights")
    uri = sdk.upload_checkpoint(workspace / "b.json", "best", {"val/accuracy": 0.5}, 3)
    (body,) = platform.calls("event")
    wanted = example("event", "checkpoint_saved")
    assert shape(body) == shape(wanted)
    assert uri == body["data"]["uri"] == f"{sdk.checkpoints_uri}best.json"
    assert body["data"] == {**wanted["data"], "uri": uri, "sha256": hashlib.sha256(b"weights").hexdigest()}
    assert Path(uri.removeprefix("file://")).read_text() == "weights"


def test_success_is_done_with_its_artifacts(platform: Platform, sdk: TrainerSDK, workspace: Path) -> None:
    sdk.report_started()
    sdk.report_progress(3, 3, {})
    sdk.report_completed({"val/accuracy": 0.5}, {"best": "file:///store/best.json", "last": "file:///store/last.json"})
    (body,) = platform.calls("done")
    wanted = example("done", "succeeded")
    same = ("timestamp", "training_time_seconds")
    assert {**body, **{k: wanted[k] for k in same}} == {**wanted, "trace_id": TRACE}
    assert 0 <= body["training_time_seconds"] < 60
    assert json.loads((workspace / "done.json").read_bytes()) == body


def test_who_did_not_train_tells_no_training_time(platform: Platform, sdk: TrainerSDK) -> None:
    sdk.report_completed()
    (body,) = platform.calls("done")
    assert "training_time_seconds" not in body


def test_failure_is_an_event_done_and_a_line(platform: Platform, sdk: TrainerSDK, workspace: Path) -> None:
    error = TrainerError("RESOURCE_ERROR", example("done", "failed")["error"], detail="disk_full")
    try:
        raise error
    except TrainerError as caught:  # as the guides' samples do it: the type they name is the last resort
        told = sdk.report_failed(ErrorType.UNKNOWN_ERROR, str(caught), "Traceback …", epochs_completed=2)
    assert told is True
    (event,), (body,) = platform.calls("event"), platform.calls("done")
    assert shape({**event, "data": {**event["data"], "traceback": None}}) == shape(example("event", "error"))
    wanted = example("done", "failed")
    assert {**body, **{k: wanted[k] for k in ("timestamp", "training_time_seconds")}} == {**wanted, "trace_id": TRACE}
    assert (workspace / "termination-log").read_text() == f"RESOURCE_ERROR: {wanted['error']}"


def test_cancelled_is_done_and_exit_0(platform: Platform, sdk: TrainerSDK) -> None:
    platform.answer = lambda heard: (200, {}, {"status": "ok", "should_continue": False})
    assert sdk.should_continue
    sdk.report_progress(1, 3, {})
    assert not sdk.should_continue
    assert sdk.report_cancelled(checkpoints={"last": "file:///store/last.json"}) == 0
    (body,) = platform.calls("done")
    wanted = example("done", "cancelled")
    assert {**body, **{k: wanted[k] for k in ("timestamp", "training_time_seconds")}} == {**wanted, "trace_id": TRACE}


def test_what_is_no_json_stops_nothing(platform: Platform, sdk: TrainerSDK) -> None:
    sdk.event("note", data={"path": Path("/x"), ("a", "b"): 1, "kind": ErrorType.DATASET_ERROR})
    (body,) = platform.calls("event")
    assert body["data"] == {"path": "/x", "kind": "DATASET_ERROR"}


def test_every_call_carries_token_path_and_key(platform: Platform, sdk: TrainerSDK) -> None:
    sdk.event("note", key="the-key")
    sdk.heartbeat()
    sdk.report_completed()
    assert [heard.path for heard in platform.heard] == [
        f"/v1/jobs/7k3mqz2x/{call}" for call in ("event", "heartbeat", "done")
    ]
    assert {heard.headers["Authorization"] for heard in platform.heard} == {"Bearer a.b.c"}
    keys = [heard.headers["Idempotency-Key"] for heard in platform.heard]
    assert keys[0] == "the-key"
    assert keys[2] == "done-7k3mqz2x-1"
    assert len(set(keys)) == 3


def test_error_types_and_variables_are_the_pinned_ones() -> None:
    assert {kind.value for kind in ErrorType} == set(pinned("error_types")["reasons"])
    environ = pinned("environment")
    assert trainer_sdk.REQUIRED.split() == environ["required"]
    assert {kind: set(names.split()) for kind, names in trainer_sdk.STORAGE.items() if kind != "s3"} == {
        kind: set(entry["required"]) for kind, entry in environ["storage"].items() if kind != "s3"
    }
    assert {code["code"] for code in pinned("exit_codes")["codes"] if code["retried"]} == {75, 143}
    assert TrainerError("NETWORK_ERROR", "").exit_code == 75
