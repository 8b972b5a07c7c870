"""A snapshot's record is written once, holds, and tells what a dataset was when it has changed."""

import json
from pathlib import Path

import pytest

from tests.steps.convert.making import document, picture, write
from tests.steps.download.running import Ran, run_step
from tests.steps.download.s3 import S3, serving


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("s3")
    (folder / "bucket").mkdir()
    with serving(folder) as server:
        yield server


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, s3: S3) -> tuple[dict[str, str], Path]:
    """Gives the variables of a job and the folder in which its records come to lie."""
    if request.param == "file":
        return {"SNAPSHOTS_URI": f"file://{tmp_path}/snapshots/"}, tmp_path / "snapshots"
    folder = s3.folder / "bucket" / tmp_path.name
    return {**s3.environment, "SNAPSHOTS_URI": f"s3://bucket/{tmp_path.name}/"}, folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write(tmp_path / "w/dataset", document(10))
    return tmp_path / "w"


def convert(work: Path, env: dict[str, str], **more: str) -> Ran:
    # Each job has its own log; what a later job knows of an earlier one stands in the records alone.
    return run_step("convert", work, TASK_TYPE="det", LOGS_URI=f"file://{work}/l{len(more)}/", **env, **more)


def test_a_record_is_kept_and_a_later_job_takes_its_split(work: Path, place: tuple[dict[str, str], Path]) -> None:
    env, folder = place
    split = json.dumps({"split_config": {"method": "auto", "ratio": [0.5, 0.5], "seed": 7}})
    ran = convert(work, env, CONFIG=split)
    assert ran.code == 0, ran.out
    snapshot = ran.event("dataset_converted")["snapshot"]
    record = folder / snapshot["snapshot_id"]
    assert json.loads((record / "snapshot.json").read_text()) == snapshot
    assert len(json.loads((record / "manifest.json").read_text())["images"]) == 10
    again = convert(work, env, SNAPSHOT_ID=snapshot["snapshot_id"])
    assert again.code == 0, again.out
    assert again.event("dataset_converted")["snapshot"] == snapshot


def test_again_on_the_same_snapshot_gives_the_same_files_byte_for_byte(
    tmp_path: Path, place: tuple[dict[str, str], Path]
) -> None:
    """In another workspace, from a document that is written otherwise, by a job that says nothing of the split."""
    env, _ = place
    value, known = document(10), {}
    found: list[dict[str, bytes]] = []
    for number in range(2):
        work = tmp_path / f"again-{number}"
        root = write(work / "dataset", value)
        if number:
            (root / "annotations_detection.json").write_text(json.dumps(value, indent=3, sort_keys=True))
        else:
            known = {"CONFIG": json.dumps({"split_config": {"method": "auto", "ratio": [0.5, 0.3, 0.2], "seed": 7}})}
        ran = convert(work, env, **known)
        assert ran.code == 0, ran.out
        known = {"SNAPSHOT_ID": ran.event("dataset_converted")["snapshot"]["snapshot_id"]}
        files = {p.relative_to(work / "converted"): p for p in (work / "converted").rglob("*") if p.is_file()}
        # Where it lies is a part of what these two say.
        found.append({str(n): p.read_bytes() for n, p in files.items() if n.name not in ("data.yaml", "complete.json")})
    assert found[0] == found[1]
    assert sum(name.startswith("labels/") for name in found[0]) == 10


def test_a_record_is_never_written_twice(work: Path, place: tuple[dict[str, str], Path]) -> None:
    env, folder = place
    convert(work, env)
    (record,) = folder.glob("snap_*/snapshot.json")
    before = record.stat().st_mtime_ns
    assert convert(work, env).code == 0
    assert record.stat().st_mtime_ns == before


def test_a_dataset_that_changed_since_is_told_with_what_changed(work: Path, place: tuple[dict[str, str], Path]) -> None:
    env, _ = place
    known = {"SNAPSHOT_ID": convert(work, env).event("dataset_converted")["snapshot"]["snapshot_id"]}
    picture(work / "dataset/images/line/002.png", seed=99)
    value = document(11)
    write(work / "dataset", value)
    ran = convert(work, env, **known)
    error = ran.told("done")[0]["error"]
    assert (ran.code, ran.told("done")[0]["error_type"]) == (1, "DATASET_ERROR")
    assert "the dataset has changed" in error
    assert "1 image changed: images/line/002.png" in error
    assert "1 image added: images/line/011.png" in error
    assert "1 document changed" in error


def test_a_dataset_that_is_broken_now_is_told_as_changed(work: Path, place: tuple[dict[str, str], Path]) -> None:
    env, _ = place
    known = {"SNAPSHOT_ID": convert(work, env).event("dataset_converted")["snapshot"]["snapshot_id"]}
    (work / "dataset/images/line/003.png").unlink()
    ran = convert(work, env, **known)
    assert ran.code == 1
    assert "images/line/003.png" in ran.told("done")[0]["error"]
    assert "the dataset has changed" in ran.told("done")[0]["error"]


def test_an_altered_record_is_refused(work: Path, place: tuple[dict[str, str], Path]) -> None:
    env, folder = place
    known = {"SNAPSHOT_ID": convert(work, env).event("dataset_converted")["snapshot"]["snapshot_id"]}
    (record,) = folder.glob("snap_*/snapshot.json")
    value = json.loads(record.read_text())
    value["split"]["train"], value["split"]["val"] = value["split"]["val"], value["split"]["train"]
    record.write_text(json.dumps(value))
    for more in (known, {}):
        ran = convert(work, env, **more)
        assert (ran.code, "was altered" in ran.told("done")[0]["error"]) == (1, True)


@pytest.mark.parametrize("name", ["snap_", "snap_0123456789AB", "../../etc", "dsv1:0"])
def test_a_name_that_is_no_snapshot_is_refused(work: Path, name: str) -> None:
    ran = run_step("convert", work, TASK_TYPE="det", SNAPSHOT_ID=name)
    assert (ran.code, ran.told("done")[0]["error_type"]) == (1, "CONFIG_ERROR")


def test_storage_that_is_away_is_tried_again(work: Path) -> None:
    env = {"STORAGE_TYPE": "minio", "MINIO_ENDPOINT": "http://127.0.0.1:9", "MINIO_ACCESS_KEY": "a",
           "MINIO_SECRET_KEY": "b", "SNAPSHOTS_URI": "s3://b/s/", "SNAPSHOT_ID": "snap_0123456789ab"}  # fmt: skip
    assert run_step("convert", work, TASK_TYPE="det", **env).code == 75
