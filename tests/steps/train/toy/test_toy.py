"""The toy trainer as the workflow runs it: it learns, stops, resumes bit for bit, and fails by name."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.steps import jobs
from tests.steps.wire import Answer, Heard, Platform, environment, willing

EPOCHS = 8


def job(
    workspace: Path, platform: Platform | None, *, advanced: dict[str, Any] | None = None, **more: Any
) -> dict[str, str]:
    config = {"epochs": EPOCHS, "seed": 3, "advanced_config": {"momentum": 0.5, **(advanced or {})}}
    config |= {key: more.pop(key) for key in list(more) if key.islower()}
    url = platform.url if platform else None
    return environment(workspace, url=url, CONFIG=json.dumps(config), EPOCHS=str(config["epochs"]), **more)


def saved(workspace: Path, name: str = "last") -> dict[str, Any]:
    return json.loads((workspace / "run" / f"{name}.json").read_bytes())


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, Any]:
    """The last checkpoint of a run that nothing disturbed."""
    folder = tmp_path / "whole"
    folder.mkdir()
    jobs.convert(folder)
    code, out = jobs.run(jobs.TOY, job(folder, None))
    assert code == 0, out
    return saved(folder)


def test_it_learns_and_tells(workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    code, out = jobs.run(jobs.TOY, job(workspace, platform))
    assert code == 0, out
    told = [body for body in platform.calls("heartbeat") if "epoch" in body]
    assert [body["epoch"] for body in told] == list(range(1, EPOCHS + 1))
    assert set(told[0]["metrics"]) == {"train/loss", "val/loss", "val/accuracy", "lr"}
    assert told[-1]["metrics"]["val/loss"] < told[0]["metrics"]["val/loss"]
    assert told[-1]["metrics"]["val/accuracy"] > 0.9
    (done,) = platform.calls("done")
    assert (done["status"], done["epochs_completed"]) == ("succeeded", EPOCHS)
    for kind in ("best", "last"):
        stored = Path(done["artifacts"][f"{kind}_checkpoint"].removeprefix("file://"))
        assert stored.read_bytes() == (workspace / "run" / f"{kind}.json").read_bytes()
    assert done["final_metrics"]["val/accuracy"] == saved(workspace, "best")["best_value"]
    assert json.loads((workspace / "run" / "classes.json").read_bytes()) == {"classes": jobs.CLASSES}
    assert (workspace / "outputs" / "train" / "epochs").read_text() == str(EPOCHS)
    assert (workspace / "progress").read_text() == f"{EPOCHS}/{EPOCHS}\n"
    events = [body["event_type"] for body in platform.calls("event")]
    assert events[:2] == ["dataset_loaded", "training_started"]
    assert "checkpoint_saved" in events


def test_killed_and_resumed_is_never_having_stopped(workspace: Path, platform: Platform, whole: dict[str, Any]) -> None:
    jobs.convert(workspace)
    process = jobs.start(jobs.TOY, job(workspace, platform, advanced={"epoch_seconds": 0.2}))
    assert platform.wait_for(lambda: any(body.get("epoch") == 3 for body in platform.calls("heartbeat")))
    process.kill()
    jobs.finish(process)
    assert 3 <= saved(workspace)["epoch"] < EPOCHS
    code, out = jobs.run(jobs.TOY, job(workspace, platform))
    assert code == 0, out
    assert saved(workspace) == whole
    epochs = [body["epoch"] for body in platform.calls("heartbeat") if "epoch" in body]
    assert sorted(set(epochs)) == list(range(1, EPOCHS + 1))


def test_sigterm_saves_and_exits_143_and_a_new_pod_goes_on(
    workspace: Path, platform: Platform, whole: dict[str, Any], tmp_path: Path
) -> None:
    jobs.convert(workspace)
    process = jobs.start(jobs.TOY, job(workspace, platform, advanced={"epoch_seconds": 60}))
    assert platform.wait_for(lambda: any(body.get("epoch") == 1 for body in platform.calls("heartbeat")))
    process.send_signal(signal.SIGTERM)
    code, out = jobs.finish(process)
    assert code == 143, out
    assert platform.calls("done") == []
    assert platform.calls("event")[-1]["event_type"] == "preempted"
    environ = job(workspace, platform)
    elsewhere = tmp_path / "elsewhere"  # another machine: the workspace is gone, the storage is not
    elsewhere.mkdir()
    jobs.convert(elsewhere)
    moved = {"WORK_DIR": str(elsewhere), "TMP_DIR": str(workspace / "tmp"), "RESUME": "1"}
    code, out = jobs.run(jobs.TOY, {**environ, **moved})
    assert code == 0, out
    assert saved(elsewhere) == whole
    assert [body["status"] for body in platform.calls("done")] == ["succeeded"]


def test_cancelled_is_done_and_exit_0(workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)

    def stop_after_two(heard: Heard) -> Answer:
        stop = heard.call == "heartbeat" and heard.body.get("epoch") == 2
        return (200, {}, {"status": "ok", "should_continue": False}) if stop else willing(heard)

    platform.answer = stop_after_two
    code, out = jobs.run(jobs.TOY, job(workspace, platform))
    assert code == 0, out
    (done,) = platform.calls("done")
    assert (done["status"], done["epochs_completed"]) == ("cancelled", 2)
    assert saved(workspace)["epoch"] == 2
    assert Path(done["artifacts"]["last_checkpoint"].removeprefix("file://")).is_file()


def test_a_finished_run_that_starts_again_tells_its_end_again(workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    for _ in range(2):
        code, out = jobs.run(jobs.TOY, job(workspace, platform))
        assert code == 0, out
    first, second = platform.calls("done")
    assert first["final_metrics"] == second["final_metrics"]
    assert first["artifacts"] == second["artifacts"]


@pytest.mark.parametrize(
    ("more", "kind", "told"),
    [
        ({"LEARNING_RATE": "1e308"}, "VALIDATION_ERROR", "not finite in epoch 1: lower learning_rate (now 1e+308)"),
        ({"advanced": {"mosaic": 1}}, "CONFIG_ERROR", "unknown mosaic; known are momentum"),
        ({"advanced": {"momentum": 2}}, "CONFIG_ERROR", "advanced_config.momentum must be a number from 0 to 0.999"),
        ({"primary_metric": "val/mAP50"}, "CONFIG_ERROR", "primary_metric 'val/mAP50' is none of train/loss, val/loss"),
        ({"optimizer": "AdamW"}, "CONFIG_ERROR", "optimizer 'AdamW' is none of auto, sgd"),
    ],
)
def test_it_fails_by_name(workspace: Path, platform: Platform, more: dict[str, Any], kind: str, told: str) -> None:
    jobs.convert(workspace)
    code, out = jobs.run(jobs.TOY, job(workspace, platform, **more))
    assert code == 1
    (done,) = platform.calls("done")
    assert (done["status"], done["error_type"]) == ("failed", kind)
    assert told in done["error"]
    assert told in (workspace / "termination-log").read_text()
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda work: (work / "snapshot.json").unlink(), "the convert step has not run in this workspace"),
        (lambda work: (work / "converted/labels/train/0.txt").write_text("5 .1 .1 .1 .1\n"), "0.txt:1: "),
        (lambda work: (work / "converted/labels/train/0.txt").write_text("a bolt\n"), "is no `class x y width height`"),
        (lambda work: (work / "converted/labels/val").rename(work / "gone"), "give the val split annotated images"),
    ],
)
def test_a_dataset_it_cannot_use_is_named(workspace: Path, platform: Platform, spoil: Any, told: str) -> None:
    jobs.convert(workspace)
    spoil(workspace)
    code, out = jobs.run(jobs.TOY, job(workspace, platform))
    assert code == 1, out
    (done,) = platform.calls("done")
    assert done["error_type"] == "DATASET_ERROR"
    assert told in done["error"]


def test_a_checkpoint_it_cannot_use_is_named(workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    (workspace / "run").mkdir()
    (workspace / "run" / "last.json").write_text('{"format": "another"}')
    code, _ = jobs.run(jobs.TOY, job(workspace, platform))
    assert code == 1
    (done,) = platform.calls("done")
    assert done["error_type"] == "CHECKPOINT_ERROR"
    assert "delete it, or start a new job" in done["error"]


def test_a_batch_larger_than_the_dataset_is_a_warning(workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    code, out = jobs.run(jobs.TOY, job(workspace, platform, BATCH_SIZE="1000"))
    assert code == 0, out
    warnings = [body["event_type"] for body in platform.calls("event") if body["level"] == "warning"]
    assert warnings == ["batch_larger_than_dataset"]
