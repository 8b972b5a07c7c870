"""The three trainers to start from, run as an author runs them: a folder with the file and the SDK beside it."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.steps import jobs
from tests.steps.s3 import serving
from tests.steps.wire import Answer, Heard, Platform, environment, willing

SAMPLES = jobs.REPO / "steps" / "train" / "custom"
NAMES = ["sdk_minimal", "sdk_basic", "plain_http"]


@pytest.fixture(params=NAMES)
def command(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    return author(tmp_path, request.param)


def author(folder: Path, name: str) -> list[str]:
    """Lays out an author's folder; returns the command of the job."""
    shutil.copy(jobs.REPO / "steps" / "trainer_sdk.py", folder)
    shutil.copy(SAMPLES / f"{name}.py", folder / "train.py")
    return [sys.executable, str(folder / "train.py")]


def job(workspace: Path, platform: Platform | None, *, epochs: int = 5, **more: str) -> dict[str, str]:
    url = platform.url if platform else None
    return environment(workspace, url=url, EPOCHS=str(epochs), CONFIG="{}", LEARNING_RATE="0.1", **more)


def test_it_learns_and_tells(command: list[str], workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    code, out = jobs.run(command, job(workspace, platform))
    assert code == 0, out
    told = [body for body in platform.calls("heartbeat") if "epoch" in body]
    assert [body["epoch"] for body in told] == [1, 2, 3, 4, 5]
    assert told[-1]["metrics"]["accuracy"] > 0.9
    (done,) = platform.calls("done")
    assert done["status"] == "succeeded"
    for body in platform.calls("event"):
        if body["event_type"] == "checkpoint_saved":
            assert Path(body["data"]["uri"].removeprefix("file://")).is_file()


def test_what_goes_wrong_is_told(command: list[str], workspace: Path, platform: Platform) -> None:
    (workspace / "dataset").mkdir()
    code, _ = jobs.run(command, job(workspace, platform))
    assert code == 1
    (done,) = platform.calls("done")
    assert done["status"] == "failed"
    assert done["error"]


@pytest.mark.parametrize("name", ["sdk_basic", "plain_http"])
def test_it_stops_when_asked(name: str, tmp_path: Path, workspace: Path, platform: Platform) -> None:
    def stop_after_two(heard: Heard) -> Answer:
        stop = heard.call == "heartbeat" and heard.body.get("epoch") == 2
        return (200, {}, {"status": "ok", "should_continue": False}) if stop else willing(heard)

    platform.answer = stop_after_two
    jobs.convert(workspace)
    code, out = jobs.run(author(tmp_path, name), job(workspace, platform))
    assert code == 0, out
    (done,) = platform.calls("done")
    assert done["status"] == "cancelled"
    assert Path(done["artifacts"]["last_checkpoint"].removeprefix("file://")).is_file()


def test_the_basic_one_resumes_after_sigterm(tmp_path: Path, workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    command = author(tmp_path, "sdk_basic")
    process = jobs.start(command, job(workspace, platform, epochs=1_000_000))
    assert platform.wait_for(lambda: any(body.get("epoch", 0) >= 3 for body in platform.calls("heartbeat")))
    process.send_signal(signal.SIGTERM)
    code, out = jobs.finish(process)
    assert code == 143, out
    stopped = json.loads((workspace / "run" / "last.json").read_bytes())["epoch"]
    shutil.rmtree(workspace / "run")
    code, out = jobs.run(command, job(workspace, platform, epochs=stopped + 2, RESUME="1"))
    assert code == 0, out
    assert [body["epoch"] for body in platform.calls("heartbeat")[-2:] if "epoch" in body] == [stopped + 1, stopped + 2]


def test_the_one_without_the_sdk_stores_in_s3(tmp_path: Path, workspace: Path, platform: Platform) -> None:
    jobs.convert(workspace)
    with serving(tmp_path / "s3", kind="minio") as variables:
        environ = job(workspace, platform, CHECKPOINTS_URI="s3://bucket/checkpoints/", **variables)
        code, out = jobs.run(author(tmp_path, "plain_http"), environ)
    assert code == 0, out
    assert (tmp_path / "s3" / "bucket" / "checkpoints" / "last.json").is_file()


@pytest.mark.parametrize("name", ["sdk_minimal", "sdk_basic"])
def test_at_a_desk_it_prints_what_it_would_say(name: str, tmp_path: Path, workspace: Path) -> None:
    jobs.convert(workspace)
    environ = {"WORK_DIR": str(workspace), "TMP_DIR": str(tmp_path), "EPOCHS": "2"}
    code, out = jobs.run(author(tmp_path, name), environ)
    assert code == 0, out
    (line,) = [line for line in out.splitlines() if "[DRY-RUN] done" in line]
    assert json.loads(line.split("done ", 1)[1])["status"] == "succeeded"
