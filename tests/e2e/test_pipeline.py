"""The whole pipeline as a user meets it: submit, watch, look, cancel, retry, delete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Platform, toy_job

pytestmark = pytest.mark.e2e


def test_a_job_goes_through_all_five_steps(platform: Platform, digits: Path) -> None:
    platform.tiphys("dataset", "add", digits, "--id", "digits")
    job_id = platform.submit(toy_job(Path("digits"), epochs=3, labels={"team": "vision"}))
    job = platform.ended(job_id)
    assert (job["state"], job["reason"]) == ("succeeded", "completed"), job
    assert [(s["name"], s["phase"]) for s in job["steps"]] == [
        ("download", "Succeeded"), ("convert", "Succeeded"), ("train", "Succeeded"),
        ("upload", "Succeeded"), ("report", "Succeeded"),
    ]  # fmt: skip
    assert job["epoch"] == job["total_epochs"] == 3
    assert job["snapshot_id"].startswith("snap_")
    epochs = [m["epoch"] for m in platform.json("job", "metrics", job_id)["items"]]
    assert epochs == [1, 2, 3]
    kept = {c["kind"]: c for c in platform.json("job", "checkpoints", job_id)["items"]}
    assert set(kept) == {"best", "last"}
    assert all(len(c["sha256"]) == 64 and c["size"] > 0 for c in kept.values())


def test_every_command_answers_for_people_and_for_scripts(platform: Platform, digits: Path, tmp_path: Path) -> None:
    job_id = platform.submit(toy_job(digits))
    platform.ended(job_id)
    for words in (
        ["jobs"], ["job", "show", job_id], ["job", "show", "last"], ["job", "events", job_id],
        ["job", "metrics", job_id], ["job", "checkpoints", job_id], ["job", "logs", job_id], ["job", "watch", job_id],
        ["frameworks"], ["frameworks", "ultralytics"], ["models"], ["dataset", "list"],
    ):  # fmt: skip
        assert platform.tiphys(*words).stdout.strip(), words
        for line in platform.tiphys(*words, "--json").stdout.splitlines():
            json.loads(line)
    platform.tiphys("job", "checkpoints", job_id, "--get", "best", "--to", tmp_path)
    assert json.loads((tmp_path / "best.json").read_text())


def test_a_cancelled_job_leaves_a_checkpoint_and_can_be_retried(platform: Platform, digits: Path) -> None:
    job_id = platform.submit(toy_job(digits, epochs=200, advanced_config={"epoch_seconds": 0.2}))
    platform.until(job_id, lambda job: (job["epoch"] or 0) >= 2)
    platform.tiphys("job", "cancel", job_id)
    job = platform.ended(job_id)
    assert (job["state"], job["reason"]) == ("cancelled", "user"), job
    assert "last" in {c["kind"] for c in platform.json("job", "checkpoints", job_id)["items"]}
    trained = job["epoch"]
    platform.tiphys("job", "retry", job_id)
    platform.until(job_id, lambda job: job["attempt"] == 2 and (job["epoch"] or 0) > trained)
    platform.tiphys("job", "cancel", job_id)
    platform.ended(job_id)
    again = [m for m in platform.json("job", "metrics", job_id)["items"] if m["attempt"] == 2]
    assert min(m["epoch"] for m in again) > trained - 1, "the finished epochs were trained again"


def test_an_ended_job_is_deleted_and_a_running_one_is_not(platform: Platform, digits: Path) -> None:
    job_id = platform.submit(toy_job(digits, epochs=100, advanced_config={"epoch_seconds": 0.2}))
    platform.until(job_id, lambda job: job["state"] == "running")
    refused = platform.tiphys("job", "delete", job_id, check=False)
    assert refused.returncode == 1
    assert "cancel" in refused.stderr
    platform.tiphys("job", "cancel", job_id)
    platform.ended(job_id)
    platform.tiphys("job", "delete", job_id)
    assert platform.tiphys("job", "show", job_id, check=False).returncode == 4


def test_a_manifest_shows_no_secret_and_the_plan_submits_nothing(platform: Platform, digits: Path) -> None:
    before = len(platform.json("jobs")["items"])
    plan = platform.json("train", "toy/softmax", "--dataset", digits, "--dry-run")
    assert plan["manifest"]["kind"] == "Workflow"
    assert len(platform.json("jobs")["items"]) == before
    job_id = platform.submit(toy_job(digits))
    platform.ended(job_id)
    with platform.http() as http:
        workflow = http.get(f"/api/v1/training/jobs/{job_id}/workflow").text
    token = (platform.home / "token").read_text().strip()
    assert token not in workflow
    assert "eyJ" not in workflow, "a callback token stands in the manifest or its status"
    logs = "".join(
        platform.tiphys("job", "logs", job_id, "--step", s["name"]).stdout for s in platform.job(job_id)["steps"]
    )
    assert "eyJ" not in logs


def test_a_job_runs_without_any_api(fresh: Platform, digits: Path, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(json.dumps(toy_job(digits)))
    said = fresh.tiphys("run", file).stdout
    assert "succeeded" in said
    assert list((fresh.home / "storage" / "checkpoints").rglob("best.json"))
    compiled = fresh.tiphys("compile", file).stdout
    assert compiled == fresh.tiphys("compile", file).stdout
    assert "kind: Workflow" in compiled
