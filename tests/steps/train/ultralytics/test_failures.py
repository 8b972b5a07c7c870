"""Every failure ends with one line that names the thing and the cure, told to the platform and to the workflow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.steps.train.ultralytics.conftest import PYTHON, REPO, Job

pytestmark = [pytest.mark.trains, pytest.mark.timeout(300)]


def fail(job: Job, code: int = 1) -> dict[str, Any]:
    """Train, expect to fail, and return what the platform was told."""
    assert job.train() == code, job.output[-3000:]
    [done] = job.platform.of("done")
    assert done["status"] == "failed"
    assert job.cause == f"{done['error_type']}: {done['error']}"
    assert "\n" not in job.cause
    return done


def test_a_lost_loss_ends_the_run_in_its_first_batch(new_job: Callable[..., Job]) -> None:
    job = new_job(config={"advanced_config": {"box": 1e60}})
    done = fail(job)
    assert (done["error_type"], done["detail"]) == ("VALIDATION_ERROR", "diverged")
    assert "epoch 1, batch 1 " in done["error"]
    assert "lower learning_rate (now 0.002), e.g. to 0.0002" in done["error"]
    assert done["epochs_completed"] == 0


def test_a_full_gpu_is_named_and_the_batch_is_not_halved_in_silence(new_job: Callable[..., Job]) -> None:
    job = new_job()
    job.before = (
        "import torch\ndef full(*_, **__): raise torch.OutOfMemoryError('CUDA out of memory. Tried …')\n"
        "torch.Tensor.backward = full"
    )
    done = fail(job)
    assert (done["error_type"], done["detail"]) == ("RESOURCE_ERROR", "gpu_oom")
    assert "batch 4 and image_size 64; lower batch to 2 (or image_size to 32)" in done["error"]


def test_a_loader_that_dies_of_the_sigterm_is_a_stop_and_no_failure(new_job: Callable[..., Job]) -> None:
    job = new_job()
    # Argo's executor signals the whole process group, the loader's workers included.
    job.before = (
        "import os, signal, torch\ndef fall(*_, **__):\n    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    raise RuntimeError('DataLoader worker (pid(s) 7) exited unexpectedly')\ntorch.Tensor.backward = fall"
    )
    assert job.train() == 143, job.output[-3000:]
    assert job.platform.of("done") == []
    assert job.platform.events("preempted")


def test_a_full_disk_is_named_and_leaves_no_half_checkpoint(new_job: Callable[..., Job]) -> None:
    job = new_job()
    job.before = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000))"
    done = fail(job)  # best.pt fits, last.pt does not
    assert (done["error_type"], done["detail"]) == ("RESOURCE_ERROR", "disk_full")
    assert str(job.run / "last.pt") in done["error"]
    assert {path.name for path in job.run.glob("*last*")} | {path.name for path in job.run.glob(".*")} == set()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"advanced_config": {"mosiac": 0.5}},
            "advanced_config.mosiac is unknown; did you mean mosaic? known: mosaic, agnostic_nms",
        ),
        (
            {"advanced_config": {"lr0": 0.1}},
            "advanced_config.lr0 is not for advanced_config; use hyperparameters.learning",
        ),
        ({"advanced_config": {"fliplr": 2}}, "advanced_config.fliplr is 2 but must be at most 1.0"),
        ({"advanced_config": {"cache": "disk"}}, "advanced_config.cache is 'disk' but must be one of False, True, ram"),
        ({"primary_metric": "val/map50"}, "primary_metric val/map50 is unknown; did you mean val/mAP50"),
        ({"optimizer": "AdamX"}, "optimizer AdamX is unknown; did you mean"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_right_ones(
    new_job: Callable[..., Job], config: dict[str, Any], said: str
) -> None:
    done = fail(new_job(config=config))
    assert done["error_type"] == "CONFIG_ERROR"
    assert done["error"].startswith(said)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MODEL_NAME", "yolo11q", "model yolo11q is unknown for object_detection; did you mean yolo11"),
        ("MODEL_NAME", "yolo11n-seg", "model yolo11n-seg is unknown for object_detection"),
        ("TASK_TYPE", "pose_estimation", "task pose_estimation is not trained by this image"),
        ("DEVICE", "0,1", "device 0,1: this trainer uses one GPU"),
    ],
)
def test_what_this_image_does_not_train_is_refused(
    new_job: Callable[..., Job], variable: str, value: str, said: str
) -> None:
    job = new_job(more={variable: value})
    done = fail(job)
    assert done["error_type"] == "CONFIG_ERROR"
    assert done["error"].startswith(said)


def test_no_validation_images_is_an_error_of_the_dataset(new_job: Callable[..., Job]) -> None:
    job = new_job()
    for path in (job.root / "converted" / "images" / "val").iterdir():
        path.unlink()
    done = fail(job)
    assert done["error_type"] == "DATASET_ERROR"
    assert done["error"].startswith("the val split has no images")


def test_the_advanced_keys_are_printed_as_json() -> None:
    command = [PYTHON, "-m", "steps.train.ultralytics", "--advanced-keys"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60, check=True)
    keys = json.loads(done.stdout)
    assert keys["mosaic"]["default"] == 1.0
    assert keys["nbs"] == {
        "type": ["integer"],
        "minimum": 1,
        "default": 64,
        "description": keys["nbs"]["description"],
    }
    assert not {"epochs", "batch", "imgsz", "lr0", "optimizer", "seed", "device", "data", "resume"} & set(keys)
