"""`tiphys dataset …` on registered datasets: against the real API, with the real program."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.cli.datasets.shown import say_fixes
from api.cli.fault import Exit
from api.settings import Settings
from tests.api.cli.conftest import Tiphys, real
from tests.api.datasets.conftest import document, write_dataset
from tests.api.factories import create_dataset, create_snapshot
from tests.steps.s3 import RCLONE, serving


@real
@pytest.mark.usefixtures("working")
class TestWithTheApi:
    def test_a_folder_gives_its_whole_name(
        self, tiphys: Tiphys, online: TestClient, parts: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = tiphys("dataset", "add", parts)
        assert said.code == Exit.OK, said.err
        assert "--dataset parts.v2" in said.out
        monkeypatch.chdir(parts)
        assert tiphys("dataset", "add", ".", "--json").json["id"] == "parts.v2"

    def test_an_id_that_nobody_chose_is_refused_with_how_to_choose_one(
        self, tiphys: Tiphys, online: TestClient, parts: Path, tmp_path: Path
    ) -> None:
        said = tiphys("dataset", "add", write_dataset(tmp_path / "사과 상자", document()))
        assert (said.code, "--id NAME" in said.err) == (Exit.USAGE, True)
        assert tiphys("dataset", "add", tmp_path / "사과 상자", "--id", "apples").code == Exit.OK
        assert tiphys("dataset", "add", parts, "--id", "apples").code == Exit.FAILED
        parts.rename(tmp_path / "apples")
        said = tiphys("dataset", "add", tmp_path / "apples")
        assert (said.code, "--id NAME" in said.err) == (Exit.FAILED, True)
        assert "--id NAME" not in tiphys("dataset", "add", tmp_path / "apples", "--id", "a b").err

    def test_a_broken_dataset_is_not_offered_for_training(
        self, tiphys: Tiphys, online: TestClient, broken: Path
    ) -> None:
        said = tiphys("dataset", "add", broken, "--id", "parts")
        assert said.code == Exit.FAILED
        assert "annotations.json, image 4, annotation 4: the box leaves the image" in said.out
        assert "tiphys train" not in said.out
        assert tiphys("dataset", "check", "parts", "--json").code == Exit.FAILED
        assert "parts" in tiphys("dataset", "list").out

    def test_what_cannot_be_repaired_stays_as_it_is(self, tiphys: Tiphys, online: TestClient, tmp_path: Path) -> None:
        said = tiphys("dataset", "add", write_dataset(tmp_path / "lonely", document(1)))
        assert said.code == Exit.FAILED
        assert "dataset fix" not in said.out
        said = tiphys("dataset", "fix", "lonely")
        assert (said.code, "no copy was written" in said.out) == (Exit.FAILED, True)
        assert tiphys("dataset", "fix", "lonely", "copy").code == Exit.FAILED
        assert not (tmp_path / "copy").exists()
        assert online.get("/api/v1/datasets/lonely").json()["source"] == "reference"

    def test_fix_registers_the_repaired_copy(self, tiphys: Tiphys, online: TestClient, mendable: Path) -> None:
        said = tiphys("dataset", "add", mendable, "--id", "parts", "--fix")
        assert said.code == Exit.OK, said.out + said.err
        assert "repaired" in said.out
        assert "tiphys train" in said.out
        assert online.get("/api/v1/datasets/parts").json()["source"] == "repaired"
        again = tiphys("dataset", "add", mendable, "--id", "parts")
        assert "stands for the repaired copy" in again.out
        assert "note" not in said.out

    def test_a_broken_zip_is_named_as_its_owner_calls_it(
        self, tiphys: Tiphys, online: TestClient, tmp_path: Path
    ) -> None:
        (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 cut off")
        said = tiphys("dataset", "add", tmp_path / "bad.zip")
        assert said.code == Exit.USAGE
        assert "bad.zip is no whole .zip file" in said.err

    def test_a_zip_is_uploaded(self, tiphys: Tiphys, online: TestClient, parts: Path, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
            for path in sorted(parts.rglob("*")):
                archive.write(path, path.relative_to(parts).as_posix())
        assert tiphys("dataset", "add", tmp_path / "packed.zip").code == Exit.OK
        assert online.get("/api/v1/datasets/packed").json()["source"] == "upload"

    def test_what_was_made_is_brought_here(
        self, tiphys: Tiphys, online: TestClient, parts: Path, tmp_path: Path
    ) -> None:
        tiphys("dataset", "add", parts, "--id", "parts")
        said = tiphys("dataset", "convert", "parts", "here", "--to", "yolo")
        assert said.code == Exit.OK, said.err
        assert (tmp_path / "here" / "data.yaml").exists()
        assert len(list((tmp_path / "here" / "images").rglob("*.png"))) == 4
        said = tiphys("dataset", "show", "parts", "--sheet", "sheet.png")
        assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
        assert "cat" in said.out
        tasks = tiphys("dataset", "tasks", "parts", "--json").json["items"]
        assert sorted(task["kind"] for task in tasks) == ["check", "convert", "show"]
        gone = tiphys("dataset", "tasks", "parts", "--cancel", tasks[0]["id"])
        assert (gone.code, "forgotten" in gone.out) == (Exit.OK, True)

    def test_a_split_is_saved_and_forgotten(self, tiphys: Tiphys, online: TestClient, parts: Path) -> None:
        tiphys("dataset", "add", parts, "--id", "parts")
        said = tiphys("dataset", "split", "parts", "--ratio", "0.5,0.5", "--save")
        assert (said.code, "saved" in said.out) == (Exit.OK, True)
        assert online.get("/api/v1/datasets/parts").json()["split"]["ratio"] == [0.5, 0.5]
        assert tiphys("dataset", "split", "parts", "--forget").code == Exit.OK
        assert online.get("/api/v1/datasets/parts").json()["split"] is None

    def test_a_registered_one_is_compared_with_a_folder(
        self, tiphys: Tiphys, online: TestClient, parts: Path, broken: Path
    ) -> None:
        tiphys("dataset", "add", parts, "--id", "parts")
        assert "hold the same" in tiphys("dataset", "diff", "parts", "./parts.v2").out
        assert "8 images added" in tiphys("dataset", "diff", "parts", "./broken").out


@real
@pytest.mark.skipif(not RCLONE.exists(), reason="rclone is not in this environment")
@pytest.mark.usefixtures("working")
class TestOnABucket:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Iterator[Settings]:
        with serving(tmp_path / "s3") as variables:
            storage = {
                "storage_type": "minio",
                "storage_bucket": "bucket",
                "storage_endpoint": variables["MINIO_ENDPOINT"],
            }
            keys = {"storage_access_key": SecretStr("key"), "storage_secret_key": SecretStr("secret")}
            yield settings.model_copy(update=storage | keys)

    def test_a_folder_of_this_machine_is_packed_and_uploaded(
        self, tiphys: Tiphys, online: TestClient, parts: Path, tmp_path: Path
    ) -> None:
        said = tiphys("dataset", "add", parts, "--id", "parts")
        assert said.code == Exit.OK, said.err
        assert "registered parts  s3://bucket/datasets/parts.zip" in said.out
        with zipfile.ZipFile(tmp_path / "s3" / "bucket" / "datasets" / "parts.zip") as archive:
            assert sorted(archive.namelist()) == ["annotations.json", *(f"images/{n}.png" for n in range(1, 5))]


def test_what_is_not_there_is_named(tiphys: Tiphys, online: TestClient, tmp_path: Path) -> None:
    said = tiphys("dataset", "add", tmp_path / "nowhere")
    assert said.code == Exit.NOT_FOUND
    assert "nowhere" in said.err
    for verb in ("show", "check", "delete", "snapshots", "tasks", "fix"):
        said = tiphys("dataset", verb, "no-such")
        assert said.code == Exit.NOT_FOUND, said.err
        assert "no-such" in said.err


def test_a_folder_of_that_name_is_what_was_meant(tiphys: Tiphys, online: TestClient, parts: Path) -> None:
    said = tiphys("dataset", "check", "parts.v2")
    assert (said.code, "write ./parts.v2" in said.err) == (Exit.NOT_FOUND, True)


def test_a_folder_that_is_no_dataset_is_refused(tiphys: Tiphys, online: TestClient, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = tiphys("dataset", "add", tmp_path / "empty")
    assert said.code == Exit.USAGE
    assert "does not look like a dataset" in said.err


def test_snapshots_are_listed(tiphys: Tiphys, online: TestClient, parts: Path, database: Any) -> None:
    with database.write() as session:
        create_dataset(session, id="digits")
        create_snapshot(session, id="snap_0123456789ab", dataset_id="digits", version_hash="dsv1:" + "a" * 64)
    said = tiphys("dataset", "snapshots", "digits")
    assert "snap_0123456789ab" in said.out
    assert "dsv1:aaaaaaaaaaaa " in said.out
    dry = tiphys("train", "toy/softmax", "--snapshot", "snap_0123456789ab", "--dry-run", "--json")
    assert dry.code == Exit.USAGE, "its data is gone"
    assert "nothing left" in json.loads(dry.err)["error"]


def test_repairs_that_are_not_all_named_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    examples = [{"file": "a.json", "image": number} for number in range(5)]
    fixes = [
        {"code": "box_empty", "count": 2, "what": "dropped boxes", "examples": examples[:2]},
        {"code": "box_repeated", "count": 7, "what": "dropped copies", "examples": examples},
    ]
    say_fixes({"fixes": fixes, "left": []})
    said = capsys.readouterr().out
    assert "repaired 9 in a copy" in said
    assert (said.count("a.json"), said.count("more"), "… and 5 more" in said) == (4, 1, True)
