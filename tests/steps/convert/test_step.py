"""The convert step as the pipeline runs it: its outputs, its events, its refusals."""

import json
import shutil
from pathlib import Path

import pytest

from steps.convert import step
from steps.convert.write.proof import ProofFailed
from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK
from tests.steps.convert.making import document, picture, write
from tests.steps.download.running import run_step


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write(tmp_path / "w/dataset", document(10))
    return tmp_path / "w"


def test_a_sound_dataset_is_converted_and_told(work: Path, tmp_path: Path) -> None:
    ran = run_step(
        "convert", work, "--target", "yolo", TASK_TYPE="det", DATASET_ID="ds", LOGS_URI=f"file://{tmp_path}/l/"
    )
    assert ran.code == 0, ran.out + ran.err
    data = ran.event("dataset_converted")
    snapshot = json.loads((work / "snapshot.json").read_text())
    assert data["snapshot"] == snapshot
    assert data["conversion"]["counts"]["in"]["images"] == 10
    assert (snapshot["dataset_id"], snapshot["layout"], snapshot["task"]) == ("ds", "D1", "object_detection")
    assert [ran.output("convert", name) for name in ("classes", "images_train", "images_val", "snapshot_id")] == [
        "2", "8", "2", snapshot["snapshot_id"],
    ]  # fmt: skip
    assert json.loads((tmp_path / "l/snapshot.json").read_text()) == snapshot
    assert set(json.loads((tmp_path / "l/manifest.json").read_text())) == {"documents", "images"}
    assert sorted(p.name for p in work.iterdir()) == [
        "conversion.json", "converted", "dataset", "outputs", "snapshot.json",
    ]  # fmt: skip


def test_a_job_with_its_snapshot_runs_and_a_changed_dataset_is_refused_by_name(work: Path, tmp_path: Path) -> None:
    logs = {"TASK_TYPE": "det", "LOGS_URI": f"file://{tmp_path}/logs/"}
    assert run_step("convert", work, **logs).code == 0
    snapshot = json.loads((work / "snapshot.json").read_text())
    known = {**logs, "SNAPSHOT_ID": snapshot["snapshot_id"], "DATASET_VERSION_HASH": snapshot["dataset_version_hash"]}
    assert run_step("convert", work, **known).code == 0
    picture(work / "dataset/images/line/002.png", seed=99)
    ran = run_step("convert", work, **known)
    assert ran.code == 1
    error = ran.told("done")[0]["error"]
    assert "the dataset has changed" in error
    assert "1 image changed: images/line/002.png" in error
    assert json.loads((tmp_path / "logs/snapshot.json").read_text()) == snapshot


def test_a_job_with_a_snapshot_takes_its_split(work: Path, tmp_path: Path) -> None:
    logs = {"TASK_TYPE": "det", "LOGS_URI": f"file://{tmp_path}/logs/"}
    run_step("convert", work, **logs)
    record = (work / "snapshot.json").read_bytes()
    id_ = json.loads(record)["snapshot_id"]
    config = json.dumps({"split_config": {"method": "auto", "ratio": [0.5, 0.5]}})
    ran = run_step("convert", work, **logs, SNAPSHOT_ID=id_, CONFIG=config)
    assert ran.code == 0, ran.out
    assert (work / "snapshot.json").read_bytes() == record


def test_without_a_record_another_split_than_the_snapshots_is_refused(work: Path) -> None:
    run_step("convert", work, TASK_TYPE="det")
    id_ = json.loads((work / "snapshot.json").read_text())["snapshot_id"]
    shutil.rmtree(work / "logs")
    config = json.dumps({"split_config": {"method": "auto", "ratio": [0.5, 0.5]}})
    ran = run_step("convert", work, TASK_TYPE="det", SNAPSHOT_ID=id_, CONFIG=config)
    assert ran.code == 1
    assert f"snapshot {id_} was expected" in ran.told("done")[0]["error"]


def test_without_an_earlier_manifest_the_numbers_are_told(work: Path) -> None:
    ran = run_step("convert", work, TASK_TYPE="det", DATASET_VERSION_HASH="dsv1:" + "0" * 64)
    assert "it has 10 images and 9 annotations now" in ran.told("done")[0]["error"]


def test_every_error_stands_in_the_report(work: Path) -> None:
    (work / "dataset/images/line/001.png").unlink()
    value = document(10)
    value["annotations"][4]["bbox"] = [60, 40, 30, 30]
    (work / "dataset/annotations_detection.json").write_text(json.dumps(value))
    ran = run_step("convert", work, TASK_TYPE="det")
    done = ran.told("done")[0]
    assert (ran.code, done["error_type"]) == (1, "DATASET_ERROR")
    assert "the dataset has 2 errors" in done["error"]
    assert str(work / "conversion.json") in done["error"] or "2." in done["error"]
    report = json.loads((work / "conversion.json").read_text())
    assert {e["code"] for e in report["errors"]} == {"image_missing", "box_outside"}
    assert {e["level"] for e in report["errors"]} == {"error"}
    assert not (work / "converted").exists()
    assert not (work / "snapshot.json").exists()


def test_target_none_checks_and_names_only(work: Path) -> None:
    ran = run_step("convert", work, "--target", "none", TASK_TYPE="classification")
    assert ran.code == 1
    (work / "dataset/annotations_detection.json").rename(work / "dataset/annotations.json")
    ran = run_step("convert", work, "--target", "none", TASK_TYPE="classification")
    assert ran.code == 0, ran.out
    assert not (work / "converted").exists()
    assert ran.output("convert", "snapshot_id").startswith("snap_")


@pytest.mark.parametrize(
    ("env", "error_type", "words"),
    [
        ({"TASK_TYPE": "knitting"}, "CONFIG_ERROR", "known tasks: object_detection"),
        ({"TASK_TYPE": "det", "CONFIG": '{"split_config": {"ratio": [2, 2]}}'}, "DATASET_ERROR", "add up to 1"),
        ({"TASK_TYPE": "pose"}, "DATASET_ERROR", "annotations_detection.json"),
    ],
)
def test_bad_wishes_are_refused(work: Path, env: dict[str, str], error_type: str, words: str) -> None:
    ran = run_step("convert", work, **env)
    done = ran.told("done")[0]
    assert (ran.code, done["error_type"]) == (1, error_type)
    assert words in done["error"]


def test_a_workspace_without_a_dataset_is_told(tmp_path: Path) -> None:
    ran = run_step("convert", tmp_path / "w", TASK_TYPE="det")
    assert (ran.code, "has not run" in ran.told("done")[0]["error"]) == (1, True)


def test_a_full_disk_is_named(work: Path) -> None:
    ran = run_step("convert", work, TASK_TYPE="det", limit_kib=0)
    # Nothing at all can be written, not even done.json: the line on stdout and the exit code are left.
    assert ran.code == 1
    assert "RESOURCE_ERROR: disk full while converting" in ran.out


def test_a_fault_of_the_converter_is_not_the_datasets(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ProofFailed("number 3 was meant as 4")

    monkeypatch.setattr(step, "convert", fail)
    for name, value in {"TASK_TYPE": "det", "WORK_DIR": str(work), "JOB_ID": "j", "DRY_RUN": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainerError, match="the dataset is not at fault") as caught:
        step.run_step(TrainerSDK(), target="yolo")
    assert caught.value.error_type is ErrorType.UNKNOWN_ERROR
