"""`tiphys dataset …` against the real API, its checker told what to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.cli.fault import Exit
from api.datasets import service
from tests.api.cli.conftest import Tiphys

REPORT: dict[str, Any] = {"layout": "D1", "task": "object_detection", "classes": [], "counts": {"images": 1}}
PROBLEM = {"file": "annotations.json", "annotation_id": 4, "message": "its box is outside", "cure": "correct it"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Something that looks like a dataset."""
    made = tmp_path / "parts.v2"
    (made / "images").mkdir(parents=True)
    (made / "annotations.json").write_text("{}")
    return made


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the checker finds."""
    report = REPORT | {"errors": [], "warnings": []}
    monkeypatch.setattr(service, "run_check", lambda *_, **__: report)
    return report


def test_a_folder_gives_its_whole_name(
    tiphys: Tiphys, online: TestClient, folder: Path, found: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tiphys("dataset", "add", folder)
    assert said.code == Exit.OK
    assert "--dataset parts.v2" in said.out
    monkeypatch.chdir(folder)
    assert tiphys("dataset", "add", ".", "--json").json["id"] == "parts.v2"


def test_a_broken_dataset_is_not_offered_for_training(
    tiphys: Tiphys, online: TestClient, folder: Path, found: dict[str, Any]
) -> None:
    found["errors"].append(PROBLEM)
    said = tiphys("dataset", "add", folder, "--id", "parts")
    assert said.code == Exit.FAILED
    assert "annotations.json, annotation 4: its box is outside - correct it" in said.out
    assert "tiphys train" not in said.out
    assert tiphys("dataset", "check", "parts", "--json").code == Exit.FAILED
    assert "parts" in tiphys("dataset", "list").out


def test_what_is_not_there_is_named(tiphys: Tiphys, online: TestClient, tmp_path: Path) -> None:
    said = tiphys("dataset", "add", tmp_path / "nowhere")
    assert said.code == Exit.NOT_FOUND
    assert "nowhere" in said.err
    for verb in ("show", "check", "delete"):
        said = tiphys("dataset", verb, "no/../such?x=1")
        assert said.code == Exit.NOT_FOUND


def test_a_folder_that_is_no_dataset_is_refused(tiphys: Tiphys, online: TestClient, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = tiphys("dataset", "add", tmp_path / "empty")
    assert said.code == Exit.USAGE
    assert "does not look like a dataset" in said.err
