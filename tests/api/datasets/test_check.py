"""A dataset's check: the convert step's own, in the steps' own environment, worked off in the background."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.settings import SOURCE, Settings
from tests.api.datasets.conftest import MakeDataset, document
from tests.api.factories import NOW

DATASETS = "/api/v1/datasets"

# The checker runs in the steps' environment; `make environments` makes it.
pytestmark = [
    pytest.mark.skipif(
        not (SOURCE / ".venvs" / "steps" / "bin" / "python").exists(), reason="the steps' environment is not set up"
    ),
    pytest.mark.usefixtures("working"),
]


def registered(client: TestClient, path: Path) -> str:
    answer = client.post(DATASETS, json={"id": "pets", "path": str(path)})
    assert answer.status_code == 201
    return f"{DATASETS}/pets/check"


def test_a_sound_dataset(client: TestClient, make_dataset: MakeDataset) -> None:
    answer = client.post(registered(client, make_dataset()))
    assert answer.status_code == 200
    found = answer.json()
    assert (found["layout"], found["task"]) == ("D1", "object_detection")
    assert [(c["index"], c["id"], c["name"]) for c in found["classes"]] == [(0, 3, "cat"), (1, 7, "dog")]
    assert found["counts"]["images"] == 4
    assert found["version_hash"]
    assert found["checked_at"] == NOW.isoformat().replace("+00:00", "Z")
    assert found["check_report"]["errors"] == []
    assert client.get(f"{DATASETS}/pets").json() == found


def test_everything_that_is_wrong_is_told_at_once(client: TestClient, make_dataset: MakeDataset) -> None:
    folder, told = make_dataset(), document()
    told["annotations"][0]["category_id"] = 99
    told["annotations"][2]["bbox"] = [30, 2, 10, 10]
    (folder / "annotations.json").write_text(json.dumps(told))
    (folder / "images" / "2.png").unlink()
    report = client.post(registered(client, folder)).json()["check_report"]
    problems = report["errors"] + report["warnings"]
    text = " ".join(problem["message"] for problem in problems)
    assert report["errors"]
    assert (
        report["error_count"]
        == len(report["errors"])
        == sum(group["count"] for group in report["groups"] if group["level"] == "error")
    )
    assert "99" in text
    assert "2.png" in text + " ".join(str(problem.get("file")) for problem in problems)
    assert all(problem["cure"] for problem in problems)


def test_broken_json_names_the_place(client: TestClient, make_dataset: MakeDataset) -> None:
    folder = make_dataset()
    (folder / "annotations.json").write_text('{"images": [\n oops')
    found = client.post(registered(client, folder)).json()
    (error,) = found["check_report"]["errors"]
    assert error["file"] == "annotations.json"
    assert "line 2" in error["message"]
    assert found["version_hash"] is None


def test_a_zip_is_checked_like_the_folder_in_it(client: TestClient, zipped: bytes, make_dataset: MakeDataset) -> None:
    client.post(DATASETS, data={"id": "zip"}, files={"file": ("a.zip", zipped)})
    found = client.post(f"{DATASETS}/zip/check").json()
    assert found["check_report"]["errors"] == []
    assert found["version_hash"] == client.post(registered(client, make_dataset())).json()["version_hash"]


def test_a_zip_that_climbs_is_refused(client: TestClient, tmp_path: Path) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../climbed.txt", "x")
        archive.writestr("annotations.json", "{}")
    answer = client.post(registered(client, path))
    assert answer.status_code == 422
    assert "climbed.txt" in answer.json()["detail"]


def test_an_unknown_task_is_refused(client: TestClient, make_dataset: MakeDataset) -> None:
    answer = client.post(registered(client, make_dataset()), params={"task": "mind_reading"})
    assert answer.status_code == 422
    assert "mind_reading" in answer.json()["detail"]


def test_a_dataset_that_vanished_is_told(client: TestClient, make_dataset: MakeDataset) -> None:
    folder = make_dataset()
    check = registered(client, folder)
    folder.rename(folder.with_name("moved"))
    (error,) = client.post(check).json()["check_report"]["errors"]
    assert str(folder) in error["message"]


def test_nothing_is_left_behind(client: TestClient, zipped: bytes, settings: Settings) -> None:
    client.post(DATASETS, data={"id": "zip"}, files={"file": ("a.zip", zipped)})
    assert client.post(f"{DATASETS}/zip/check").status_code == 200
    scratch = settings.resolved_home() / "scratch" / "datasets"
    # The record is told a moment before the scratch is gone: the next task's end comes after it.
    assert client.post(f"{DATASETS}/zip/check").status_code == 200
    assert len(list(scratch.iterdir())) <= 1


def test_who_does_not_wait_is_told_where_to_look(client: TestClient, make_dataset: MakeDataset) -> None:
    answer = client.post(registered(client, make_dataset()), params={"wait": 0})
    assert answer.status_code == 202
    task = client.get(answer.headers["location"]).json()
    assert (task["kind"], task["dataset_id"]) == ("check", "pets")
    assert client.post(f"{DATASETS}/pets/check").status_code == 200


class TestWithoutAnEnvironment:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        return settings.model_copy(update={"environments": tmp_path / "none"})

    def test_it_is_told_what_to_set_up(self, client: TestClient, make_dataset: MakeDataset) -> None:
        answer = client.post(registered(client, make_dataset()))
        assert (answer.status_code, answer.json()["code"]) == (503, "check_failed")
        assert "make environments" in answer.json()["cure"]


class TestTimeout:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"dataset_task_timeout": 0.001})

    def test_a_check_ends_in_time(self, client: TestClient, make_dataset: MakeDataset) -> None:
        answer = client.post(registered(client, make_dataset()))
        assert (answer.status_code, answer.json()["code"]) == (503, "check_failed")
        assert "TIPHYS_DATASET_TASK_TIMEOUT" in answer.json()["cure"]


class TestCrash:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        python = tmp_path / "environments" / "steps" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text("#!/bin/sh\necho 'Traceback' >&2\necho 'MemoryError: none left' >&2\nexit 3\n")
        python.chmod(0o755)
        return settings.model_copy(update={"environments": tmp_path / "environments"})

    def test_a_checker_that_crashes_is_told(self, client: TestClient, make_dataset: MakeDataset) -> None:
        answer = client.post(registered(client, make_dataset()))
        assert (answer.status_code, answer.json()["code"]) == (503, "check_failed")
        detail: Any = answer.json()["detail"]
        assert "exit code 3" in detail
        assert "none left" in detail
        assert "Traceback" not in detail
