"""Names and places, compared with the pinned contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workflows import keys
from workflows.keys import StorageTarget

PINNED = json.loads((Path(__file__).parents[1] / "contract" / "v1" / "keys.json").read_text("utf-8"))["keys"]
IDS = {
    "dataset_id": "digits",
    "framework": "ultralytics",
    "model_name": "yolo11n",
    "ext": "pt",
    "project_id": "p1",
    "job_id": "7k3mqz2x",
    "export_id": "e1",
    "prediction_id": "q1",
    "task_id": "t1",
}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("dataset_prefix", keys.dataset_prefix("digits")),
        ("dataset_zip", keys.dataset_zip("digits")),
        ("pretrained", keys.pretrained("ultralytics", "yolo11n", "pt")),
        ("checkpoints", keys.checkpoints_prefix("p1", "7k3mqz2x")),
        ("checkpoints_without_project", keys.checkpoints_prefix(None, "7k3mqz2x")),
        ("logs", keys.logs_prefix("7k3mqz2x")),
        ("exports", keys.exports_prefix("7k3mqz2x", "e1")),
        ("snapshots", keys.snapshots_prefix()),
        ("dataset_outputs", keys.dataset_outputs_prefix("digits", "t1")),
        ("predictions", keys.predictions_prefix("7k3mqz2x", "q1")),
    ],
)
def test_keys_are_the_contracts(name: str, key: str) -> None:
    assert key == PINNED[name].format(**IDS)


@pytest.mark.parametrize("text", ["..", "a/b", "", ".hidden", "-x", "a b", "ü", "x" * 129, "a\n"])
def test_no_id_leaves_its_place(text: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a storage key"):
        keys.dataset_prefix(text)


def test_a_workflow_is_named_by_job_and_attempt() -> None:
    assert keys.workflow_name("7k3mqz2x", 2) == "train-7k3mqz2x-2"
    with pytest.raises(ValueError, match="count from 1"):
        keys.workflow_name("7k3mqz2x", 0)


def test_uris_of_a_folder_are_those_pathlib_reads_back() -> None:
    storage = StorageTarget("file", "tiphys", root="/data/my storage/100%")
    assert storage.uri("datasets/d/") == Path("/data/my storage/100%/datasets/d").as_uri() + "/"
    assert storage.secret_variables == ()
    assert storage.environment() == {"STORAGE_TYPE": "file", "STORAGE_BUCKET": "/data/my storage/100%"}


def test_a_bucket_has_an_endpoint_and_secrets() -> None:
    storage = StorageTarget("r2", "models", endpoint="https://r2.example")
    assert storage.uri("logs/x/") == "s3://models/logs/x/"
    assert storage.environment() == {
        "STORAGE_TYPE": "r2",
        "STORAGE_BUCKET": "models",
        "R2_ENDPOINT": "https://r2.example",
    }
    assert storage.secret_variables == ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "ftp", "bucket": "b"}, "use one of file, minio, r2, s3"),
        ({"type": "file", "bucket": "b"}, "absolute folder"),
        ({"type": "file", "bucket": "b", "root": "here"}, "absolute folder"),
        ({"type": "s3", "bucket": "b", "root": "/x"}, "no root folder"),
        ({"type": "minio", "bucket": "b"}, "needs an endpoint"),
    ],
)
def test_a_storage_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        StorageTarget(**fields)
