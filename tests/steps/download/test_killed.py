"""Whatever is killed, and wherever: nothing half-made is ever visible, and the next job makes it whole."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.steps.download.faulty import Faulty
from tests.steps.download.running import ROOT, step_python
from tests.steps.download.test_cache import download, entries, release, start, wanted
from tests.steps.download.test_download import files
from tests.steps.download.test_objects import URI, fill

# Runs the step, and kills it with the signal that nobody can catch at the n-th call of a function.
KILLED = """
import os, signal, sys
import {module} as module
function, left = getattr(module, "{name}"), [{count}]
def deadly(*arguments, **options):
    after = {after}
    if after: result = function(*arguments, **options)
    if {condition}: left[0] -= 1
    if left[0] == 0: os.kill(os.getpid(), signal.SIGKILL)
    return result if after else function(*arguments, **options)
setattr(module, "{name}", deadly)
from steps.download.step import run_step
from steps.trainer_sdk import TrainerSDK
sys.exit(TrainerSDK().run(run_step))
"""


def run_and_kill(faulty: Faulty, work: Path, cache: Path, *, limit: str = "50Gi", **point: object) -> int:
    """Runs a download that kills itself; gives its exit code."""
    work.mkdir()
    code = KILLED.format(**{"count": 1, "after": False, "condition": "True", **point})
    env = {**faulty.environment, "DATASET_S3_URI": URI, "CACHE_DIR": str(cache), "CACHE_LIMIT": limit}
    env |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "WORK_DIR": str(work), "TMP_DIR": str(work)}
    ran = subprocess.run(
        [step_python(), "-c", code], env={**env, "JOB_ID": work.name}, capture_output=True, check=False
    )
    return ran.returncode


def test_killed_in_the_middle_of_a_fetch(tmp_path: Path, faulty: Faulty) -> None:
    cache = tmp_path / "cache"
    fill(faulty, *(f"images/{n:03}.png" for n in range(200)))
    faulty.faults["ds/images/150.png"] = ["wait"] * 100
    process = start(faulty, tmp_path / "one", cache)
    assert faulty.waiting.acquire(timeout=60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert entries(cache) == []
    assert not (tmp_path / "one/dataset").exists()
    (part,) = (cache / "fetched").glob(".part-*")
    whole = {
        name: body for name, body in files(part / "dataset").items() if not name.rpartition("/")[2].startswith(".")
    }
    assert whole.items() <= wanted(faulty).items()  # what has its name is whole
    faulty.faults.clear()
    faulty.go_on.set()
    faulty.requests.clear()
    ran = download(faulty, tmp_path / "two", cache)
    assert ran.code == 0, ran.out
    assert 0 < faulty.gets() == 200 - len(whole) < 200
    assert files(tmp_path / "two/dataset") == wanted(faulty)
    assert len(entries(cache)) == 1


POINTS = {
    "before the marker is written": {"module": "steps.download.cache", "name": "write_json"},
    "before the entry gets its name": {"module": "os", "name": "rename", "condition": "'.part-' in str(arguments[0])"},
    "after the entry got its name": {
        "module": "os", "name": "rename", "condition": "'.part-' in str(arguments[0])", "after": True,
    },
    "while a file is written": {"module": "os", "name": "write", "count": 5},
}  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_killed_while_an_entry_is_made(tmp_path: Path, faulty: Faulty, point: str) -> None:
    cache = tmp_path / "cache"
    fill(faulty, *(f"images/{n:03}.png" for n in range(20)))
    assert run_and_kill(faulty, tmp_path / "one", cache, **POINTS[point]) == -signal.SIGKILL
    for name in entries(cache):
        assert files(cache / "fetched" / name / "dataset") == wanted(faulty)
    ran = download(faulty, tmp_path / "two", cache)
    assert ran.code == 0, ran.out
    assert files(tmp_path / "two/dataset") == wanted(faulty)
    assert len(entries(cache)) == 1
    assert not list((cache / "fetched").glob(".part-*"))


EVICTING = {
    "before the entry goes": {"module": "os", "name": "rename", "condition": "'trash' in str(arguments[1])"},
    "after the entry went": {
        "module": "os", "name": "rename", "condition": "'trash' in str(arguments[1])", "after": True,
    },
    "while its files are removed": {
        "module": "os", "name": "unlink", "condition": "'png' in str(arguments[0])", "count": 7, "after": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("point", EVICTING)
def test_killed_while_an_entry_is_evicted(tmp_path: Path, faulty: Faulty, point: str) -> None:
    cache = tmp_path / "cache"
    fill(faulty, *(f"images/{n:03}.png" for n in range(20)), size=100)
    download(faulty, tmp_path / "one", cache)
    (old,) = entries(cache)
    release(cache)
    before = wanted(faulty)
    faulty.objects = {key: body[::-1] for key, body in faulty.objects.items()}
    assert run_and_kill(faulty, tmp_path / "two", cache, limit="3k", **EVICTING[point]) == -signal.SIGKILL
    if old in entries(cache):
        assert files(cache / "fetched" / old / "dataset") == before
    ran = download(faulty, tmp_path / "three", cache, CACHE_LIMIT="3k")
    assert ran.code == 0, ran.out
    assert files(tmp_path / "three/dataset") == wanted(faulty)
    assert len(entries(cache)) == 1
    release(cache)
    faulty.objects = {key: body + b"!" for key, body in faulty.objects.items()}
    assert download(faulty, tmp_path / "four", cache, CACHE_LIMIT="3k").event("dataset_loaded")["cache"] == "filled"
    assert list((cache / "trash").iterdir()) == []
