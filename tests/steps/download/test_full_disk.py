"""A cache on a disk that really is full: first it evicts, then the job goes on without it, then the error says so."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steps.download.faulty import Faulty
from tests.steps.download.test_cache import download, entries, release, start, wanted
from tests.steps.download.test_download import files

SIZE_MB = 100  # of which 64 are left to others
FILE = 10 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not (sys.platform == "linux" and os.geteuid() == 0):
        pytest.skip("a file system of its own can be mounted by root on Linux only")
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no file system here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def put(faulty: Faulty, letter: bytes) -> None:
    """Makes the dataset two large files of one letter."""
    faulty.objects = {f"ds/{name}.bin": letter * FILE for name in "xy"}


def test_evict_then_go_without_then_tell(tmp_path: Path, small_disk: Path, faulty: Faulty) -> None:
    cache = small_disk / "cache"
    put(faulty, b"a")
    assert download(faulty, tmp_path / "one", cache).event("dataset_loaded")["cache"] == "filled"
    release(cache)
    put(faulty, b"b")
    ran = download(faulty, tmp_path / "two", cache)
    assert (ran.code, ran.event("dataset_loaded")["cache"]) == (0, "filled"), ran.out
    assert "leaves the cache: it was used least recently" in ran.out
    assert len(entries(cache)) == 1
    put(faulty, b"c")  # the entry is read by a job now
    ran = download(faulty, tmp_path / "three", cache)
    assert (ran.code, ran.event("dataset_loaded")["cache"]) == (0, "none"), ran.out
    assert files(tmp_path / "three/dataset") == wanted(faulty)
    ran = download(faulty, small_disk / "four", cache)
    done = ran.told("done")[0]
    assert (ran.code, done["error_type"], done["detail"]) == (1, "RESOURCE_ERROR", "disk_full")
    assert "free space there, or give the job a larger volume" in done["error"]
    assert len(entries(cache)) == 1
    assert not list((cache / "fetched").glob(".part-*"))


def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path, small_disk: Path, faulty: Faulty) -> None:
    cache = small_disk / "cache"
    put(faulty, b"a")
    faulty.faults |= {"ds/x.bin": ["wait"], "ds/y.bin": ["wait"]}
    process = start(faulty, tmp_path / "one", cache)
    for _ in range(2):
        assert faulty.waiting.acquire(timeout=60)
    with open(small_disk / "ballast", "wb") as ballast:
        ballast.write(bytes(shutil.disk_usage(small_disk).free - (1 << 20)))
    faulty.go_on.set()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert "the cache cannot take the dataset" in out
    assert files(tmp_path / "one/dataset") == wanted(faulty)
    assert entries(cache) == []
    assert not list((cache / "fetched").iterdir())
