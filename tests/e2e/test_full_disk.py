"""A disk that really is full: a small file system of its own, filled while a job trains, and freed again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Platform, end_trainers, toy_job

pytestmark = pytest.mark.e2e
SIZE_MB = 24


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    if not (sys.platform == "linux" and os.geteuid() == 0):
        pytest.skip("a file system of its own can be mounted by root on Linux only")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Write until there is no room for one more byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in (1 << 16, 1 << 10, 1):
            try:
                while file.write(b"x" * piece):
                    pass
            except OSError:
                continue
    assert shutil.disk_usage(folder).free == 0
    return ballast


def test_a_job_on_a_disk_that_fills_up_ends_with_that_reason_and_resumes(small_disk: Path, digits: Path) -> None:
    platform = Platform(small_disk / "home")
    platform.up()
    try:
        job_id = platform.submit(toy_job(digits, epochs=400, advanced_config={"epoch_seconds": 0.1}))
        platform.until(job_id, lambda job: (job["epoch"] or 0) >= 3)
        ballast = fill(small_disk)
        refused = platform.tiphys("train", "toy/softmax", "--dataset", digits, check=False)
        assert refused.returncode == 1
        assert "full" in refused.stderr, refused.stderr
        with platform.http() as http:
            assert http.get("/health").status_code == 200
        ballast.unlink()
        job = platform.ended(job_id)
        assert (job["state"], job["reason"]) == ("failed", "disk_full"), job
        assert "free" in job["message"]
        trained = job["epoch"]
        platform.tiphys("job", "retry", job_id)
        platform.until(job_id, lambda job: job["attempt"] == 2 and (job["epoch"] or 0) > trained)
        platform.tiphys("job", "cancel", job_id)
        assert platform.ended(job_id)["state"] == "cancelled"
    finally:
        platform.down()
        end_trainers(platform.home)
