"""Bad input and bad luck: each ends in one clear message, a state with a reason, and nothing half-done."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Platform, toy_job

pytestmark = pytest.mark.e2e


def custom_job(dataset: Path, code: str, **more: Any) -> dict[str, Any]:
    """A custom job that runs a piece of Python."""
    return {
        "name": "custom", "framework": "custom", "model": "own", "task": "object_detection", "dataset": str(dataset),
        "image": "example/own:1", "command": [sys.executable, "-c", code], "resources": {"gpu": 0, "cpu": 1}, **more,
    }  # fmt: skip


def broken(digits: Path, folder: Path, mend: Any) -> Path:
    """A copy of the dataset with its document changed by `mend`."""
    shutil.copytree(digits, folder)
    path = folder / "annotations_detection.json"
    document = json.loads(path.read_text())
    mend(document, folder)
    path.write_text(json.dumps(document))
    return folder


def missing_image(document: dict[str, Any], folder: Path) -> None:
    (folder / "images" / document["images"][0]["file_name"]).unlink()


def box_outside(document: dict[str, Any], folder: Path) -> None:
    document["annotations"][0]["bbox"] = [150, 150, 60, 60]


def unknown_class(document: dict[str, Any], folder: Path) -> None:
    document["annotations"][0]["category_id"] = 4711


def no_images(document: dict[str, Any], folder: Path) -> None:
    document["images"], document["annotations"] = [], []
    document.pop("split_config", None)


def no_validation(document: dict[str, Any], folder: Path) -> None:
    ids = [image["id"] for image in document["images"]]
    document["split_config"] = {"method": "manual", "splits": {str(i): "train" for i in ids}}


BROKEN = {
    "a missing image": (missing_image, "missing"),
    "a box outside its image": (box_outside, "outside"),
    "an unknown class": (unknown_class, "4711"),
    "no images at all": (no_images, "empty"),
    "no validation images": (no_validation, "validation"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_dataset_fails_the_job_with_its_cause(
    platform: Platform, digits: Path, tmp_path: Path, what: str
) -> None:
    mend, word = BROKEN[what]
    job = platform.ended(platform.submit(toy_job(broken(digits, tmp_path / "broken", mend))))
    assert (job["state"], job["reason"]) == ("failed", "dataset_error"), job
    assert word in job["message"].lower(), job["message"]
    assert "Traceback" not in job["message"]


def test_broken_json_is_named_with_its_line(platform: Platform, digits: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(digits, tmp_path / "broken")
    (folder / "annotations_detection.json").write_text('{"images": [\n  {"id": 1,,}\n]}')
    job = platform.ended(platform.submit(toy_job(folder)))
    assert (job["state"], job["reason"]) == ("failed", "dataset_error"), job
    assert "line 2" in job["message"]


def test_a_dataset_that_vanished_is_named(platform: Platform, digits: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(digits, tmp_path / "gone")
    platform.tiphys("dataset", "add", folder, "--id", "gone")
    shutil.rmtree(folder)
    refused_or_failed = platform.tiphys("train", "toy/softmax", "--dataset", "gone", "--watch", check=False)
    assert refused_or_failed.returncode in (1, 2)
    assert "gone" in refused_or_failed.stdout + refused_or_failed.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"framework": "ultralitics", "model": "yolo11n"}, ["ultralitics", "ultralytics"]),
        ({"framework": "ultralytics", "model": "yolo11q"}, ["yolo11q", "yolo11"]),
        ({"hyperparameters": {"epochs": 0}}, ["epochs", "1"]),
        ({"hyperparameters": {"epoch": 3}}, ["epoch", "epochs"]),
        ({"dataset": "no-such-dataset"}, ["no-such-dataset", "tiphys dataset"]),
        ({"advanced_config": {"mosaik": 1}}, ["mosaik"]),
    ],
)
def test_a_wrong_job_is_refused_at_once(
    platform: Platform, digits: Path, tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    body = toy_job(digits) | change
    file = tmp_path / "job.yaml"
    file.write_text(json.dumps(body))
    refused = platform.tiphys("train", "-f", file, check=False)
    assert refused.returncode in (2, 4), refused.stderr
    for word in words:
        assert word in refused.stderr


def test_a_trainer_that_exits_0_without_a_word_or_a_checkpoint(platform: Platform, digits: Path) -> None:
    job = platform.ended(platform.submit(custom_job(digits, "print('did nothing')")))
    assert (job["state"], job["reason"]) == ("succeeded", "no_checkpoint"), job
    assert "checkpoint" in job["message"]


def test_a_trainer_that_never_heartbeats_is_ended_with_its_reason(platform: Platform, digits: Path) -> None:
    body = custom_job(digits, "import signal; signal.pause()", limits={"no_heartbeat": "3s"})
    job = platform.ended(platform.submit(body))
    assert (job["state"], job["reason"]) == ("failed", "heartbeat_timeout"), job
    assert "no_heartbeat" in job["message"]


def test_a_trainer_that_prints_100_mb_ends_well(platform: Platform, digits: Path) -> None:
    code = "line = 'x' * 99\nfor _ in range(1_000_000): print(line)\nprint('the end')"
    job_id = platform.submit(custom_job(digits, code))
    job = platform.ended(job_id, seconds=180)
    assert job["state"] == "succeeded", job
    assert platform.tiphys("job", "logs", job_id, "--tail", "1").stdout.strip() == "the end"


def test_a_trainer_that_crashes_gives_its_last_words_not_a_traceback(platform: Platform, digits: Path) -> None:
    job = platform.ended(platform.submit(custom_job(digits, "import sys; print('boom'); sys.exit(1)")))
    assert (job["state"], job["reason"]) == ("failed", "training_error"), job
    assert "exit code 1" in job["message"]


def test_a_job_over_its_time_is_ended(platform: Platform, digits: Path) -> None:
    body = toy_job(digits, epochs=1000, advanced_config={"epoch_seconds": 0.2}, limits={"total": "8s"})
    job = platform.ended(platform.submit(body))
    assert (job["state"], job["reason"]) == ("failed", "deadline"), job
    assert "total" in job["message"]


def test_a_trainer_over_its_memory_is_named_oom(platform: Platform, digits: Path) -> None:
    code = "import time; kept = bytearray(400_000_000); print(len(kept)); time.sleep(60)"
    body = custom_job(digits, code)
    body["resources"] |= {"memory": "128Mi"}
    job = platform.ended(platform.submit(body))
    assert (job["state"], job["reason"]) == ("failed", "oom"), job
    assert "128Mi" in job["message"]


def test_a_dataset_of_one_class_trains(platform: Platform, digits: Path, tmp_path: Path) -> None:
    def one_class(document: dict[str, Any], folder: Path) -> None:
        keep = next(c for c in document["categories"] if not c["name"].startswith("_"))
        document["categories"] = [keep]
        document["annotations"] = [a | {"category_id": keep["id"]} for a in document["annotations"] if "bbox" in a]

    job = platform.ended(platform.submit(toy_job(broken(digits, tmp_path / "one", one_class))))
    assert job["state"] == "succeeded", job


def test_a_batch_larger_than_the_dataset_trains_and_says_so(platform: Platform, digits: Path) -> None:
    body = toy_job(digits)
    body["hyperparameters"] |= {"batch": 60_000}
    job_id = platform.submit(body)
    assert platform.ended(job_id)["state"] == "succeeded"
    told = [e["message"] for e in platform.json("job", "events", job_id)["items"] if e["level"] == "warning"]
    assert any("batch" in message for message in told)
