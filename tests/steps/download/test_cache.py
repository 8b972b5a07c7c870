"""The cache: fetched once for all, never half there, never taken from under a job, and no job needs it."""

import json
import os
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from steps.download.evict import parse_limit
from tests.steps.download.faulty import Faulty
from tests.steps.download.running import ROOT, Ran, run_step, step_python
from tests.steps.download.test_download import files
from tests.steps.download.test_objects import URI, fill

WEEK = 7 * 24 * 3600


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def download(faulty: Faulty, work: Path, cache: Path | str, **env: str) -> Ran:
    given = {**faulty.environment, "DATASET_S3_URI": URI, "CACHE_DIR": str(cache), "JOB_ID": work.name, **env}
    return run_step("download", work, **given)


def start(faulty: Faulty, work: Path, cache: Path) -> subprocess.Popen[str]:
    work.mkdir()
    env = {**faulty.environment, "DATASET_S3_URI": URI, "CACHE_DIR": str(cache), "JOB_ID": work.name}
    env |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "WORK_DIR": str(work), "TMP_DIR": str(work)}
    command = [step_python(), "-m", "steps.download"]
    return subprocess.Popen(command, env=env, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def entries(cache: Path) -> list[str]:
    """Gives the entries that are visible, by the file that makes them so."""
    return sorted(path.parent.name for path in (cache / "fetched").glob("[!.]*/complete.json"))


def wanted(faulty: Faulty) -> dict[str, bytes]:
    return {key.removeprefix("ds/"): body for key, body in faulty.objects.items()}


def release(cache: Path) -> None:
    """Ends all leases, as the jobs' ends do."""
    for lease in cache.glob("leases/*/*"):
        lease.unlink()


def test_a_second_job_moves_nothing(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    fill(faulty, *(f"images/{n}.png" for n in range(50)))
    first = download(faulty, tmp_path / "one", cache)
    assert first.code == 0, first.out
    assert (first.event("dataset_loaded")["cache"], first.event("dataset_loaded")["fetched"]) == ("filled", 50)
    dataset = tmp_path / "one/dataset"
    assert dataset.is_symlink()
    assert files(dataset) == wanted(faulty)
    assert {path.stat().st_mode & 0o222 for path in dataset.rglob("*.png")} == {0}
    sent, gets = faulty.sent, faulty.gets()
    second = download(faulty, tmp_path / "two", cache)
    data = second.event("dataset_loaded")
    assert (second.code, data["cache"], data["fetched"], data["images"]) == (0, "hit", 0, 50)
    assert faulty.gets() == gets
    assert (faulty.sent - sent) < sent
    assert (tmp_path / "two/dataset").resolve() == dataset.resolve()
    assert files(tmp_path / "two/dataset") == wanted(faulty)
    assert sorted(path.name for path in cache.glob("leases/*/*")) == ["one", "two"]
    assert json.loads((tmp_path / "two/digests.json").read_bytes())["files"].keys() == wanted(faulty).keys()
    assert second.output("download", "bytes") == first.output("download", "bytes")


def test_a_known_version_asks_storage_for_nothing(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    fill(faulty, "images/a.png")
    download(faulty, tmp_path / "one", cache)
    (cache / "versions/dsv1:0123").write_text(entries(cache)[0])
    (cache / "versions/snap_0123456789ab").write_text(entries(cache)[0])
    faulty.requests.clear()
    for name, value in (("DATASET_VERSION_HASH", "dsv1:0123"), ("SNAPSHOT_ID", "snap_0123456789ab")):
        ran = download(faulty, tmp_path / name, cache, **{name: value})
        assert (ran.code, ran.event("dataset_loaded")["cache"]) == (0, "hit"), ran.out
        assert files(tmp_path / name / "dataset") == wanted(faulty)
    assert not faulty.requests
    for odd in ("../../etc", "dsv1:4567", ""):
        assert download(faulty, tmp_path / "other", cache, DATASET_VERSION_HASH=odd).code == 0
    assert faulty.requests["LIST /bucket"] + faulty.requests["LIST /bucket/"] == 3


def test_two_jobs_at_once_fetch_once(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    fill(faulty, *(f"images/{n}.png" for n in range(40)))
    faulty.faults["ds/images/5.png"] = ["wait"]
    one = start(faulty, tmp_path / "one", cache)
    assert faulty.waiting.acquire(timeout=60)
    two = start(faulty, tmp_path / "two", cache)
    assert two.stdout is not None
    seen = ""
    while "waiting for it" not in seen:
        line = two.stdout.readline()
        assert line, seen
        seen += line
    faulty.go_on.set()
    for process in (one, two):
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0, out
    assert faulty.gets() == 40
    assert files(tmp_path / "one/dataset") == files(tmp_path / "two/dataset") == wanted(faulty)
    assert len(entries(cache)) == 1


def test_of_a_changed_dataset_only_the_change_is_fetched(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    fill(faulty, *(f"images/{n}.png" for n in range(20)))
    download(faulty, tmp_path / "one", cache)
    faulty.objects["ds/images/3.png"] = b"another"
    faulty.requests.clear()
    ran = download(faulty, tmp_path / "two", cache)
    assert (ran.event("dataset_loaded")["fetched"], faulty.gets()) == (1, 1)
    assert files(tmp_path / "two/dataset") == wanted(faulty)
    old, new = ((tmp_path / job / "dataset/images/4.png").stat().st_ino for job in ("one", "two"))
    assert old == new
    assert files(tmp_path / "one/dataset") != wanted(faulty)  # a job keeps what it began with
    assert len(entries(cache)) == 2


def test_images_of_another_prefix_belong_to_the_entry(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    names = [{"id": 1, "file_name": "a.png"}]
    faulty.objects["ds/annotations.json"] = json.dumps(
        {"images": names, "storage_info": {"image_root": "shared/"}}
    ).encode()
    faulty.objects["shared/a.png"] = b"first"
    download(faulty, tmp_path / "one", cache)
    assert (tmp_path / "one/dataset/images/a.png").read_bytes() == b"first"
    assert download(faulty, tmp_path / "two", cache).event("dataset_loaded")["cache"] == "hit"
    faulty.objects["shared/a.png"] = b"second"
    assert download(faulty, tmp_path / "three", cache).event("dataset_loaded")["cache"] == "filled"
    assert (tmp_path / "three/dataset/images/a.png").read_bytes() == b"second"
    assert not list((cache / "fetched").glob(".part-*"))


def test_a_zip_is_unpacked_once(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ds.zip", "w") as archive:
        archive.writestr("images/a.png", b"a" * 5000)
    for number, cached in enumerate(("filled", "hit")):
        ran = download(faulty, tmp_path / f"w{number}", cache, DATASET_S3_URI=f"file://{tmp_path}/ds.zip")
        assert (ran.code, ran.event("dataset_loaded")["cache"]) == (0, cached)
        assert files(tmp_path / f"w{number}/dataset") == {"images/a.png": b"a" * 5000}


def test_a_folder_of_this_machine_is_linked_not_copied(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    (tmp_path / "ds").mkdir()
    (tmp_path / "ds/a.png").write_text("a")
    ran = download(faulty, tmp_path / "w", cache, DATASET_S3_URI=f"file://{tmp_path}/ds/")
    assert (ran.code, ran.event("dataset_loaded")["cache"]) == (0, "none")
    assert (tmp_path / "w/dataset/a.png").samefile(tmp_path / "ds/a.png")
    assert entries(cache) == []


def test_the_least_recently_used_goes_first_and_never_what_a_job_reads(
    tmp_path: Path, faulty: Faulty, cache: Path
) -> None:
    def job(name: str, dataset: str) -> Ran:
        uri = f"s3://bucket/{dataset}/"
        return download(faulty, tmp_path / name, cache, DATASET_S3_URI=uri, CACHE_LIMIT="2500")

    for dataset in "abcd":
        faulty.objects[f"{dataset}/x.png"] = dataset.encode() * 1000
    at = {}
    for number, dataset in enumerate("ab"):
        job(f"fill-{dataset}", dataset)
        at[dataset] = (tmp_path / f"fill-{dataset}/dataset").resolve().parent
        os.utime(at[dataset] / "complete.json", (number, number))
    ran = job("reads-c", "c")  # both are leased: the job goes without the cache
    assert (ran.code, ran.event("dataset_loaded")["cache"]) == (0, "none")
    assert "fetched for this job alone" in ran.out
    assert files(tmp_path / "reads-c/dataset") == {"x.png": b"c" * 1000}
    (cache / "leases" / at["b"].name / "fill-b").unlink()
    assert job("reads-c2", "c").event("dataset_loaded")["cache"] == "filled"
    assert (at["a"].exists(), at["b"].exists()) == (True, False)  # a is older, but a job reads it
    release(cache)
    assert job("reads-a", "a").event("dataset_loaded")["cache"] == "hit"
    assert job("reads-d", "d").event("dataset_loaded")["cache"] == "filled"
    assert len(entries(cache)) == 2
    assert job("reads-a2", "a").event("dataset_loaded")["cache"] == "hit"  # c went, for a was used since
    assert list((cache / "trash").iterdir()) == []


def test_a_lease_that_nobody_ended_ends_by_itself(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    fill(faulty, "a.png", size=1500)
    download(faulty, tmp_path / "one", cache, CACHE_LIMIT="2k")
    (lease,) = cache.glob("leases/*/one")
    faulty.objects["ds/a.png"] = b"b" * 1500
    assert download(faulty, tmp_path / "two", cache, CACHE_LIMIT="2k").event("dataset_loaded")["cache"] == "none"
    old = time.time() - WEEK - 60
    os.utime(lease, (old, old))
    assert download(faulty, tmp_path / "three", cache, CACHE_LIMIT="2k").event("dataset_loaded")["cache"] == "filled"
    assert len(entries(cache)) == 1


def test_the_end_of_a_job_ends_its_leases(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    fill(faulty, "a.png")
    download(faulty, tmp_path / "one", cache)
    download(faulty, tmp_path / "two", cache)
    env = {"CACHE_DIR": str(cache), "JOB_ID": "one"}
    assert run_step("report", tmp_path / "one", "--on-exit", "Succeeded", "[]", **env).code == 0
    assert [path.name for path in cache.glob("leases/*/*")] == ["two"]


@pytest.mark.parametrize("where", ["/proc/no-such-place", "file"])
def test_a_cache_that_cannot_be_used_is_a_warning(tmp_path: Path, faulty: Faulty, where: str) -> None:
    fill(faulty, "images/a.png")
    (tmp_path / "file").write_text("no folder")
    ran = download(faulty, tmp_path / "w", where if where.startswith("/") else tmp_path / where)
    assert (ran.code, ran.event("dataset_loaded")["cache"]) == (0, "none")
    assert "[WARNING] the cache" in ran.out
    assert files(tmp_path / "w/dataset") == wanted(faulty)


def test_a_dataset_larger_than_the_cache_is_fetched_without_it(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    fill(faulty, "images/a.png", size=5000)
    ran = download(faulty, tmp_path / "w", cache, CACHE_LIMIT="4k")
    assert (ran.code, ran.event("dataset_loaded")["cache"]) == (0, "none")
    assert files(tmp_path / "w/dataset") == wanted(faulty)
    assert not list((cache / "fetched").iterdir())


def test_a_job_whose_workspace_held_a_copy_gets_the_cache(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    fill(faulty, "images/a.png")
    download(faulty, tmp_path / "w", "")
    assert not (tmp_path / "w/dataset").is_symlink()
    download(faulty, tmp_path / "w", cache)
    assert (tmp_path / "w/dataset").is_symlink()
    assert download(faulty, tmp_path / "w", "").event("dataset_loaded")["cache"] == "none"
    assert not (tmp_path / "w/dataset").is_symlink()
    assert files(tmp_path / "w/dataset") == wanted(faulty)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50Gi", 50 << 30),
        ("1.5k", 1500),
        ("123", 123),
        ("10 MB", 10**7),
        ("2Ti", 2 << 40),
        ("lots", None),
        ("-1", None),
    ],
)
def test_limits(text: str, size: int | None) -> None:
    assert parse_limit(text) == size


def test_a_limit_that_is_no_size_is_refused(tmp_path: Path, faulty: Faulty, cache: Path) -> None:
    ran = download(faulty, tmp_path / "w", cache, CACHE_LIMIT="lots")
    assert (ran.code, "write a number such as 50Gi" in ran.cause) == (1, True)
