"""What is killed comes back: no job is lost, none is run twice."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Platform, toy_job

pytestmark = pytest.mark.e2e


def test_an_api_killed_in_mid_training_is_started_again_and_the_job_succeeds(fresh: Platform, digits: Path) -> None:
    fresh.up()
    url = fresh.url
    job_id = fresh.submit(toy_job(digits, epochs=40, advanced_config={"epoch_seconds": 0.25}))
    fresh.until(job_id, lambda job: (job["epoch"] or 0) >= 3)
    trainers = pids_of("steps.train.toy", fresh.home)
    assert len(trainers) == 1
    psutil.Process(fresh.pid).send_signal(signal.SIGKILL)
    gone = [
        p
        for p in psutil.process_iter(["cmdline"])
        if "api.reconciler" in (p.info["cmdline"] or []) and is_of(p, fresh.home)
    ]
    psutil.wait_procs(gone, timeout=15)
    assert pids_of("steps.train.toy", fresh.home) == trainers, "the trainer did not outlive the API"
    fresh.json("up", "-d")  # the same port: the trainer still calls it
    assert fresh.url == url
    job = fresh.ended(job_id)
    assert job["state"] == "succeeded", job
    metrics = fresh.json("job", "metrics", job_id)["items"]
    assert [m["epoch"] for m in metrics] == list(range(1, 41)), "epochs are missing or were trained twice"
    events = [e["event_type"] for e in fresh.json("job", "events", job_id)["items"] if e["kind"] == "state"]
    assert events == ["pending", "queued", "running", "succeeded"]
    starts = [e for e in fresh.json("job", "events", job_id)["items"] if e["event_type"] == "training_started"]
    assert len(starts) == 1


def test_a_killed_trainer_goes_on_by_itself_and_is_named_in_the_record(fresh: Platform, digits: Path) -> None:
    fresh.up()
    job_id = fresh.submit(toy_job(digits, epochs=30, advanced_config={"epoch_seconds": 0.2}))
    fresh.until(job_id, lambda job: (job["epoch"] or 0) >= 2)
    for pid in pids_of("steps.train.toy", fresh.home):
        psutil.Process(pid).kill()
    job = fresh.ended(job_id)
    assert (job["state"], job["reason"]) == ("succeeded", "completed"), job
    assert [m["epoch"] for m in fresh.json("job", "metrics", job_id)["items"]] == list(range(1, 31))
    events = fresh.json("job", "events", job_id)["items"]
    assert any("exit code 137" in event["message"] for event in events if event["event_type"] == "step_retrying")


def test_a_preempted_trainer_goes_on_by_itself(fresh: Platform, digits: Path) -> None:
    fresh.up()
    job_id = fresh.submit(toy_job(digits, epochs=30, advanced_config={"epoch_seconds": 0.2}))
    fresh.until(job_id, lambda job: (job["epoch"] or 0) >= 3)
    for pid in pids_of("steps.train.toy", fresh.home):
        psutil.Process(pid).terminate()
    job = fresh.ended(job_id)
    assert job["state"] == "succeeded", job
    epochs = [m["epoch"] for m in fresh.json("job", "metrics", job_id)["items"]]
    assert epochs == list(range(1, 31))
    train = next(s for s in job["steps"] if s["name"] == "train")
    assert train["attempts"] == 2


def test_two_platforms_on_one_home_folder_are_refused(fresh: Platform) -> None:
    fresh.up()
    second = fresh.tiphys("up", check=False)
    assert second.returncode == 1
    assert "in use" in second.stderr
    assert "tiphys down" in second.stderr


def test_a_port_in_use_is_named(fresh: Platform, tmp_path: Path) -> None:
    fresh.up()
    port = fresh.url.rsplit(":", 1)[1]
    other = Platform(tmp_path / "other")
    refused = other.tiphys("up", "--port", port, check=False)
    assert refused.returncode == 1
    assert port in refused.stderr
    assert "--port" in refused.stderr
    assert not (other.home / "api.json").exists()


def test_commands_say_when_nothing_is_up(fresh: Platform) -> None:
    silent = fresh.tiphys("jobs", check=False)
    assert silent.returncode == 3
    assert "tiphys up" in silent.stderr


def pids_of(module: str, home: Path) -> set[int]:
    """The trainers that run for this home folder (not the emissaries above them)."""
    found = set()
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if module in line and not any("emissary" in word for word in line) and is_of(process, home):
            found.add(process.pid)
    return found


def is_of(process: psutil.Process, home: Path) -> bool:
    try:
        return str(home) in json.dumps(process.environ())
    except psutil.Error:
        return False
