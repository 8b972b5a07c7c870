"""`tiphys train` and `compile`: from words and files to one request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.cli.fault import Exit, Fault
from api.cli.train import _request
from api.db import Database
from tests.api.cli.conftest import Tiphys
from tests.api.factories import create_dataset


def asked(*settings: str, file: Path | None = None, **given: str) -> dict[str, Any]:
    return _request("toy/softmax", file, given, list(settings))


@pytest.mark.parametrize(
    ("setting", "body"),
    [
        ("epochs=5", {"hyperparameters": {"epochs": 5}}),
        ("learning_rate=1e-3", {"hyperparameters": {"learning_rate": 0.001}}),
        ("optimizer=AdamW", {"hyperparameters": {"optimizer": "AdamW"}}),
        ("seed=", {"hyperparameters": {"seed": None}}),
        ("advanced_config.mosaic=0.0", {"advanced_config": {"mosaic": 0.0}}),
        ("split.ratio=[0.7, 0.3]", {"split": {"ratio": [0.7, 0.3]}}),
        ("labels.team=a=b", {"labels": {"team": "a=b"}}),
        ("labels.answer=no", {"labels": {"answer": "no"}}),
        ("labels.note=a: b", {"labels": {"note": "a: b"}}),
        ("labels.note=[", {"labels": {"note": "["}}),
    ],
)
def test_a_setting_is_read_as_the_job_file_would_read_it(setting: str, body: dict[str, Any]) -> None:
    assert asked(setting) == {"framework": "toy", "model": "softmax"} | body


@pytest.mark.parametrize("setting", ["epochs", "=5", "framework.x=1"])
def test_a_setting_that_says_nothing_is_refused(setting: str) -> None:
    with pytest.raises(Fault) as refused:
        asked(setting)
    assert refused.value.exit_code == Exit.USAGE
    assert setting in refused.value.message
    assert refused.value.cure


def test_what_is_given_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("framework: ultralytics\nmodel: yolo11n\ndataset: digits\nname: a\nhyperparameters:\n")
    assert asked("epochs=2", file=file, name="b") == {
        "framework": "toy", "model": "softmax", "dataset": "digits", "name": "b", "hyperparameters": {"epochs": 2},
    }  # fmt: skip


@pytest.mark.parametrize("words", [("train",), ("train", "yolo11n"), ("train", "/x"), ("train", "toy/")])
def test_nothing_to_train_is_refused(tiphys: Tiphys, words: tuple[str, ...]) -> None:
    assert tiphys(*words).code == Exit.USAGE


def test_a_job_without_a_dataset_is_told_how_to_name_one(tiphys: Tiphys, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("framework: toy\nmodel: softmax\n")
    for words in (("ultralytics/yolo11n",), ("-f", file)):
        said = tiphys("train", *words)
        assert said.code == Exit.USAGE
        assert "--dataset ID" in said.err


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        (None, Exit.NOT_FOUND, "there is no job file"),
        ("framework: [", Exit.USAGE, "line 1"),
        ("- a", Exit.USAGE, "mapping"),
        ("", Exit.USAGE, "empty"),
        ("framework: toy\nmodel: softmax\ndataset: digits\nepochs: 3", Exit.USAGE, "epochs"),
        ("framework: toy\nmodel: softmax\ndataset: digits\nhyperparameters: {epochs: 0}", Exit.USAGE, "epochs"),
    ],
)
def test_an_invalid_job_file_is_named(tiphys: Tiphys, tmp_path: Path, text: str | None, code: Exit, word: str) -> None:
    file = tmp_path / "job.yaml"
    if text is not None:
        file.write_text(text)
    said = tiphys("compile", file)
    assert said.code == code
    assert "job.yaml" in said.err
    assert word in said.err


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_file_that_is_no_text_is_named(tiphys: Tiphys, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "job.yaml"
    file.mkdir() if content is None else file.write_bytes(content)
    said = tiphys("compile", file)
    assert said.code == Exit.USAGE
    assert "is not a text file" in said.err


@pytest.mark.parametrize("claim", [None, "shared"])
def test_a_printed_workflow_mounts_only_a_claim_that_was_named(
    tiphys: Tiphys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: str | None
) -> None:
    if claim:
        monkeypatch.setenv("TIPHYS_CACHE_CLAIM", claim)
    file = tmp_path / "job.yaml"
    file.write_text("framework: toy\nmodel: softmax\ndataset: digits")
    said = tiphys("compile", file)
    assert said.code == Exit.OK
    assert ("claimName: shared" in said.out, "persistentVolumeClaim" in said.out) == (bool(claim), bool(claim))


def test_an_impossible_job_id_is_refused(tiphys: Tiphys, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("framework: toy\nmodel: softmax\ndataset: digits")
    said = tiphys("compile", file, "--job-id", "A b")
    assert said.code == Exit.USAGE
    assert "'A b'" in said.err


def test_a_strangers_home_folder_is_refused(tiphys: Tiphys, up: Path) -> None:
    said = tiphys("train", "toy/softmax", "--dataset", "~no-such-person/data")
    assert said.code == Exit.USAGE
    assert "~no-such-person/data" in said.err


def test_a_dataset_counts_from_the_job_file_and_from_here(tiphys: Tiphys, online: TestClient, tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "data").mkdir()
    (tmp_path / "here").mkdir()
    file = tmp_path / "jobs" / "job.yaml"
    file.write_text(json.dumps({"framework": "toy", "model": "softmax", "dataset": "./data", "name": "[/x] odd"}))
    said = tiphys("train", "-f", file)
    assert said.code == Exit.OK
    assert "[/x] odd" in said.out
    assert tiphys("job", "show", "last", "--json").json["dataset"] == str(tmp_path / "jobs" / "data")
    assert tiphys("train", "-f", file, "-d", "./here", "--json").json["dataset"] == str(tmp_path / "here")


def test_a_wrong_job_is_refused_with_every_field(tiphys: Tiphys, online: TestClient) -> None:
    said = tiphys("train", "toy/softmax", "-d", "nothing", "-s", "epochs=0", "-s", "batsch=1")
    assert said.code == Exit.USAGE
    assert "epochs" in said.err
    assert "batsch" in said.err


def test_a_request_with_half_a_character_is_refused(tiphys: Tiphys, up: Path) -> None:
    said = tiphys("train", "toy/softmax", "-d", "digits", "--name", "\udcff")
    assert said.code in (Exit.USAGE, Exit.UNREACHABLE)
    assert "UTF-8" in said.err


@pytest.fixture
def checked(database: Database, tmp_path: Path) -> Callable[[int], None]:
    """Registers the dataset `digits`, in which the last check found so many errors."""

    def register(errors: int) -> None:
        folder = tmp_path / "digits"
        folder.mkdir()
        (folder / "annotations_detection.json").write_text("{}")
        with database.write() as session:
            create_dataset(
                session,
                uri=f"{folder.as_uri()}/",
                checked_at=datetime.now(UTC),
                check_report={"errors": [], "error_count": errors},
            )

    return register


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_dataset_that_was_found_broken_is_told_at_submit(
    tiphys: Tiphys, online: TestClient, checked: Callable[[int], None], more: tuple[str, ...]
) -> None:
    checked(3)
    said = tiphys("train", "toy/softmax", "-d", "digits", *more)
    assert said.code == Exit.OK
    assert re.match(r"warning: the last check of dataset digits found 3 errors \(\d+s ago\)", said.err)
    assert "tiphys dataset check digits" in said.err
    assert "tiphys dataset fix digits" in said.err
    spoken = tiphys("train", "toy/softmax", "-d", "digits", *more, "--json")
    assert isinstance(spoken.json, dict)
    assert "3 errors" in json.loads(spoken.err)["warning"]


def test_a_sound_dataset_a_folder_and_an_unknown_one_raise_no_warning(
    tiphys: Tiphys, online: TestClient, checked: Callable[[int], None], tmp_path: Path
) -> None:
    checked(0)
    (tmp_path / "data").mkdir()
    for dataset, code in (("digits", Exit.OK), ("./data", Exit.OK), ("no-such", Exit.USAGE)):
        said = tiphys("train", "toy/softmax", "-d", dataset)
        assert said.code == code
        assert "warning" not in said.err
