"""Custom trainers through the whole pipeline: the samples of this repository, and the older guides' where they lie."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import REPO, Platform, end_trainers, toy_job
from tests.steps.s3 import serving
from tests.steps.train.custom.seeds import DRIVER, GUIDE, PLUGIN, in_tmp, present, sample

pytestmark = pytest.mark.e2e
SAMPLES = ("sdk_basic.py", "sdk_minimal.py", "plain_http.py")
guides = pytest.mark.skipif(
    not present(), reason="the older guides' texts lie beside the repository only where it is developed"
)


def custom_job(script: Path, dataset: str, **more: Any) -> dict[str, Any]:
    return {
        "name": script.stem.replace("_", "-"), "framework": "custom", "model": "own", "task": "object_detection",
        "dataset": dataset, "image": "example/own:1", "command": [sys.executable, str(script)],
        "hyperparameters": {"epochs": 3}, "resources": {"gpu": 0, "cpu": 1}, **more,
    }  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_our_sample_trainers_run_as_custom_jobs(platform: Platform, digits: Path, name: str) -> None:
    job_id = platform.submit(custom_job(REPO / "steps" / "train" / "custom" / name, str(digits)))
    job = platform.ended(job_id)
    assert job["state"] == "succeeded", job
    assert [m["epoch"] for m in platform.json("job", "metrics", job_id)["items"]] == [1, 2, 3]


def beside_the_sdk(folder: Path, text: str) -> Path:
    """A trainer's folder as the guides describe it: train.py beside the copied SDK."""
    folder.mkdir()
    shutil.copy(REPO / "steps" / "trainer_sdk.py", folder)
    (folder / "train.py").write_text(text)
    return folder / "train.py"


@guides
def test_the_guides_minimal_sample_runs_unchanged(platform: Platform, digits: Path, tmp_path: Path) -> None:
    script = beside_the_sdk(tmp_path / "minimal", sample(GUIDE, "sys.exit(main())"))
    job_id = platform.submit(custom_job(script, str(digits)))
    job = platform.ended(job_id)
    assert (job["state"], job["reason"]) == ("succeeded", "no_checkpoint"), job
    assert job["final_metrics"] == {"loss": 0.01, "accuracy": 0.99}
    assert [m["metrics"]["loss"] for m in platform.json("job", "metrics", job_id)["items"]] == [1.0, 1 / 2, 1 / 3]


@guides
def test_the_guides_basic_sample_runs_unchanged(platform: Platform, digits: Path, tmp_path: Path) -> None:
    script = beside_the_sdk(tmp_path / "basic", DRIVER)
    script.with_name("sample.txt").write_text(sample(GUIDE, "train_one_epoch(...)"))
    with in_tmp():
        job_id = platform.submit(custom_job(script, str(digits)))
        job = platform.ended(job_id)
    assert job["state"] == "succeeded", job
    assert {c["kind"] for c in platform.json("job", "checkpoints", job_id)["items"]} == {"best", "last"}


@guides
def test_the_guides_basic_sample_with_its_names_left_open_fails_with_its_cause(
    platform: Platform, digits: Path, tmp_path: Path
) -> None:
    text = sample(GUIDE, "train_one_epoch(...)")
    script = beside_the_sdk(tmp_path / "open", f"import sys, traceback\n{text}\nsys.exit(main())\n")
    job = platform.ended(platform.submit(custom_job(script, str(digits))))
    assert (job["state"], job["reason"]) == ("failed", "training_error"), job
    assert "dataset_id" in job["message"]


@pytest.fixture
def on_s3(tmp_path: Path) -> Iterator[Platform]:
    """A platform whose storage is a real S3 server."""
    with serving(tmp_path / "s3", kind="r2") as server:
        made = Platform(
            tmp_path / "home",
            {
                "TIPHYS_STORAGE_TYPE": "r2",
                "TIPHYS_STORAGE_BUCKET": server["STORAGE_BUCKET"],
                "TIPHYS_STORAGE_ENDPOINT": server["R2_ENDPOINT"],
                "TIPHYS_STORAGE_ACCESS_KEY": server["R2_ACCESS_KEY_ID"],
                "TIPHYS_STORAGE_SECRET_KEY": server["R2_SECRET_ACCESS_KEY"],
            },
        )
        made.up()
        yield made
        made.down()
        end_trainers(made.home)


@guides
def test_the_plugin_guides_sample_runs_unchanged(on_s3: Platform, digits: Path, tmp_path: Path) -> None:
    archive = tmp_path / "digits.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in digits.rglob("*"):
            packed.write(path, path.relative_to(digits))
    on_s3.tiphys("dataset", "add", archive, "--id", "digits")
    script = beside_the_sdk(tmp_path / "plugin", DRIVER)
    script.with_name("sample.txt").write_text(sample(PLUGIN, "import requests"))
    with in_tmp():
        job_id = on_s3.submit(custom_job(script, "digits"))
        job = on_s3.ended(job_id)
        fetched = Path("/tmp/dataset.zip").read_bytes()
    assert job["state"] == "succeeded", job
    assert on_s3.json("job", "metrics", job_id)["items"]
    assert fetched == archive.read_bytes()


def test_a_toy_job_runs_whole_on_s3(on_s3: Platform, digits: Path, tmp_path: Path) -> None:
    archive = tmp_path / "digits.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in digits.rglob("*"):
            packed.write(path, path.relative_to(digits))
    on_s3.tiphys("dataset", "add", archive, "--id", "digits")
    job_id = on_s3.submit(toy_job(Path("digits")))
    assert on_s3.ended(job_id)["state"] == "succeeded"
    on_s3.tiphys("job", "checkpoints", job_id, "--get", "best", "--to", tmp_path)
    assert (tmp_path / "best.json").stat().st_size > 0
