"""Converting again costs links alone, and gives the same bytes; a cache that fails costs no job anything."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.steps.convert.making import document, picture, write
from tests.steps.download.running import ROOT, Ran, run_step, step_python
from tests.steps.download.s3 import S3, serving


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("s3")
    (folder / "bucket").mkdir()
    with serving(folder) as server:
        yield server


def job(work: Path, cache: Path | str | None, uri: str, s3: S3, **env: str) -> Ran:
    """Fetches and converts, as a job does."""
    given = {**s3.environment, "TASK_TYPE": "det", "DATASET_S3_URI": uri, "JOB_ID": work.name, **env}
    given |= {"CACHE_DIR": str(cache)} if cache else {}
    given.setdefault("SNAPSHOTS_URI", f"file://{work.parent}/snapshots/")
    ran = run_step("download", work, **given)
    assert ran.code == 0, ran.out
    return run_step("convert", work, **given)


def target(work: Path) -> dict[str, bytes]:
    """Gives the converted files, with the workspace's own place taken out."""
    root = work / "converted"
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    return {name: body.replace(str(root).encode(), b"HERE") for name, body in found.items()}


@pytest.mark.parametrize("kind", ["s3", "file"])
def test_the_same_snapshot_gives_the_same_bytes(tmp_path: Path, s3: S3, kind: str) -> None:
    root = write(s3.folder / f"bucket/same-{kind}", document(12))
    uri = f"s3://bucket/same-{kind}/" if kind == "s3" else f"file://{root}/"
    cache = tmp_path / "cache"
    first = job(tmp_path / "one", cache, uri, s3)
    assert first.code == 0, first.out
    assert "the conversion was in the cache" not in first.out
    snapshot = json.loads((tmp_path / "one/snapshot.json").read_text())
    again = {"SNAPSHOT_ID": snapshot["snapshot_id"], "DATASET_VERSION_HASH": snapshot["dataset_version_hash"]}
    second = job(tmp_path / "two", cache, uri, s3, **again)
    assert second.code == 0, second.out
    assert "the conversion was in the cache" in second.out
    without = job(tmp_path / "three", None, uri, s3, **again)
    assert without.code == 0, without.out
    assert target(tmp_path / "one") == target(tmp_path / "two")
    for job_name in ("two", "three"):
        assert (tmp_path / job_name / "snapshot.json").read_bytes() == (tmp_path / "one/snapshot.json").read_bytes()
    names = target(tmp_path / "one").keys() - {"complete.json"}
    assert {n: target(tmp_path / "three")[n] for n in names} == {n: target(tmp_path / "one")[n] for n in names}
    assert str(tmp_path / "two/converted") in (tmp_path / "two/converted/data.yaml").read_text()
    proof = second.event("dataset_converted")["conversion"]["proof"]
    assert proof == first.event("dataset_converted")["conversion"]["proof"]
    assert proof


def test_a_trainer_writes_beside_its_labels_never_into_the_cache(tmp_path: Path, s3: S3) -> None:
    root = write(tmp_path / "ds", document(8))
    cache = tmp_path / "cache"
    job(tmp_path / "one", cache, f"file://{root}/", s3)
    before = target(tmp_path / "one")
    for work in ("one", "two"):
        if work == "two":
            job(tmp_path / "two", cache, f"file://{root}/", s3)
        (tmp_path / work / "converted/labels/train.cache").write_text("mine")
        (tmp_path / work / "converted/data.yaml").write_text("mine")
    job(tmp_path / "three", cache, f"file://{root}/", s3)
    assert target(tmp_path / "three") == before


def test_another_split_or_task_is_another_conversion(tmp_path: Path, s3: S3) -> None:
    root = write(tmp_path / "ds", document(10))
    cache = tmp_path / "cache"
    job(tmp_path / "one", cache, f"file://{root}/", s3)
    config = json.dumps({"split_config": {"method": "auto", "ratio": [0.5, 0.5]}})
    ran = job(tmp_path / "two", cache, f"file://{root}/", s3, CONFIG=config)
    assert (ran.code, "the conversion was in the cache" in ran.out) == (0, False)
    ids = [json.loads((tmp_path / work / "snapshot.json").read_text())["split"]["val"] for work in ("one", "two")]
    labels = [len(list((tmp_path / work / "converted/labels/val").iterdir())) for work in ("one", "two")]
    assert [len(part) for part in ids] == labels
    assert labels[0] < labels[1]


def test_a_conversion_whose_dataset_left_the_cache_finds_its_images(tmp_path: Path, s3: S3) -> None:
    root = write(s3.folder / "bucket/moved", document(8))
    cache = tmp_path / "cache"
    job(tmp_path / "one", cache, "s3://bucket/moved/", s3)
    before = target(tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    for entry in (cache / "fetched").iterdir():
        shutil.rmtree(entry)
    shutil.copytree(root, s3.folder / "bucket/moved-there")
    ran = job(tmp_path / "two", cache, "s3://bucket/moved-there/", s3)
    assert (ran.code, "the conversion was in the cache" in ran.out) == (0, True)
    assert target(tmp_path / "two") == before


@pytest.mark.parametrize("broken", ["converted", "locks"])
def test_a_cache_that_fails_costs_nothing(tmp_path: Path, s3: S3, broken: str) -> None:
    root = write(tmp_path / "ds", document(8))
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / broken).write_text("no folder")
    ran = job(tmp_path / "one", cache, f"file://{root}/", s3)
    assert (ran.code, "is not used for the conversion" in ran.out) == (0, True), ran.out
    assert len([name for name in target(tmp_path / "one") if name.startswith("labels/")]) == 8


def test_a_conversion_that_somebody_cut_off_is_made_anew(tmp_path: Path, s3: S3) -> None:
    root = write(tmp_path / "ds", document(8))
    cache = tmp_path / "cache"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TASK_TYPE": "det", "CACHE_DIR": str(cache)}
    env |= {"WORK_DIR": str(tmp_path / "one"), "TMP_DIR": str(tmp_path)}
    run_step("download", tmp_path / "one", DATASET_S3_URI=f"file://{root}/")
    code = """
import os, signal, sys
from steps.convert import cache
link, left = cache._link, [3]
def deadly(*names):
    left[0] -= 1
    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)
    link(*names)
cache._link = deadly
from steps.convert.__main__ import main
sys.exit(main(["--target", "yolo"]))
"""
    ran = subprocess.run([step_python(), "-c", code], env=env, check=False, capture_output=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert not list((cache / "converted").glob("[!.]*"))
    assert not (tmp_path / "one/converted").exists()
    ran = job(tmp_path / "two", cache, f"file://{root}/", s3)
    assert (ran.code, "the conversion was in the cache" in ran.out) == (0, False)
    assert len(list((cache / "converted").glob("[!.]*"))) == 1


def test_images_are_not_read_again_for_their_digests(tmp_path: Path, s3: S3) -> None:
    """A digest that is known is trusted while size and time hold; a false one shows that it was."""
    root = write(tmp_path / "ds", document(6))
    cache = tmp_path / "cache"
    one = job(tmp_path / "one", cache, f"file://{root}/", s3)
    version = one.event("dataset_converted")["snapshot"]["dataset_version_hash"]
    (kept,) = (cache / "digests").iterdir()
    rows = json.loads(kept.read_text())["files"]
    assert len(rows) == 6
    rows["images/line/001.png"][-1] = "0" * 64
    kept.write_text(json.dumps({"files": rows}))
    two = job(tmp_path / "two", cache, f"file://{root}/", s3)
    assert two.event("dataset_converted")["snapshot"]["dataset_version_hash"] != version
    picture(root / "images/line/001.png", seed=1)  # touched: it is read again
    three = job(tmp_path / "three", cache, f"file://{root}/", s3)
    assert three.event("dataset_converted")["snapshot"]["dataset_version_hash"] == version


def test_a_cached_image_that_was_written_into_is_found_out(tmp_path: Path, s3: S3) -> None:
    write(s3.folder / "bucket/written", document(6))
    cache = tmp_path / "cache"
    job(tmp_path / "one", cache, "s3://bucket/written/", s3)
    victim = (tmp_path / "one/dataset/images/line/002.png").resolve()
    victim.chmod(0o644)
    picture(victim, seed=77)
    ran = job(tmp_path / "two", cache, "s3://bucket/written/", s3)
    assert ran.code == 1
    assert "1 files were altered after they were fetched: images/line/002.png" in ran.told("done")[0]["error"]
    assert job(tmp_path / "three", cache, "s3://bucket/written/", s3).code == 0


def test_what_a_trainer_does_to_its_copy_of_a_picture_stays_in_its_job(tmp_path: Path, s3: S3) -> None:
    value = document(12)
    value["images"][0]["file_name"] = "line/001.jpg"
    root = write(tmp_path / "ds", value)
    cut = root / "images/line/001.jpg"
    cut.write_bytes(cut.read_bytes()[:-2])  # trainers write such a file anew, where it stands
    whole, cache = cut.read_bytes(), tmp_path / "cache"
    for name in ("one", "two", "three"):
        ran = job(tmp_path / name, cache, f"file://{root}/", s3)
        assert ran.code == 0, ran.out
        assert ("the conversion was in the cache" in ran.out) == (name != "one")
        (place,) = (tmp_path / name / "converted/images").rglob("*.jpg")
        assert place.read_bytes() == whole
        with open(place, "r+b") as file:
            file.write(b"mended by a trainer")
