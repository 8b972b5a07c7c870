"""Datasets in a bucket: registered, checked, converted and repaired against a real S3 server."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.artifacts.storage import open_storage
from api.datasets.worker import DatasetWorker
from api.settings import SOURCE, Settings
from tests.api.datasets.conftest import document, write_dataset
from tests.steps.s3 import RCLONE, serving

DATASETS = "/api/v1/datasets"
NEVER = threading.Event()

pytestmark = [
    pytest.mark.skipif(not RCLONE.exists(), reason="rclone is not in this environment"),
    pytest.mark.skipif(
        not (SOURCE / ".venvs" / "steps" / "bin" / "python").exists(), reason="the steps' environment is not set up"
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A server with one bucket: its folder, and the variables that lead to it."""
    root = tmp_path_factory.mktemp("s3")
    with serving(root) as variables:
        yield root / "bucket", variables


@pytest.fixture
def bucket(server: tuple[Path, dict[str, str]]) -> Iterator[Path]:
    """The bucket, empty."""
    folder, _ = server
    yield folder
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def settings(settings: Settings, server: tuple[Path, dict[str, str]], bucket: Path) -> Settings:
    _, variables = server
    return settings.model_copy(
        update={
            "storage_type": "minio",
            "storage_bucket": "bucket",
            "storage_endpoint": variables["MINIO_ENDPOINT"],
            "storage_access_key": SecretStr("key"),
            "storage_secret_key": SecretStr("secret"),
        }
    )


def done(client: TestClient, worker: DatasetWorker, id: str, kind: str, **options: Any) -> dict[str, Any]:
    begun = client.post(f"{DATASETS}/{id}/tasks", json={"kind": kind, "options": options})
    assert begun.status_code == 202, begun.text
    assert worker.step(NEVER)
    task: dict[str, Any] = client.get(f"{DATASETS}/{id}/tasks/{begun.json()['id']}").json()
    assert task["state"] == "succeeded", task["error"]
    return task


def test_a_prefix_is_registered_and_checked(client: TestClient, worker: DatasetWorker, bucket: Path) -> None:
    write_dataset(bucket / "there" / "pets", document())
    made = client.post(DATASETS, json={"id": "pets", "uri": "s3://bucket/there/pets"})
    assert (made.status_code, made.json()["uri"]) == (201, "s3://bucket/there/pets/")
    assert done(client, worker, "pets", "check")["result"]["errors"] == []
    assert client.get(f"{DATASETS}/pets").json()["counts"]["images"] == 4


def test_what_is_there_no_longer_is_told_with_its_cure(
    client: TestClient, worker: DatasetWorker, bucket: Path, settings: Settings
) -> None:
    write_dataset(bucket / "there" / "pets", document())
    client.post(DATASETS, json={"id": "pets", "uri": "s3://bucket/there/pets"})
    assert open_storage(settings).delete_prefix("there/pets/") > 0
    begun = client.post(f"{DATASETS}/pets/tasks", json={"kind": "check"})
    assert worker.step(NEVER)
    error = client.get(f"{DATASETS}/pets/tasks/{begun.json()['id']}").json()["error"]
    assert (error["code"], "s3://bucket/there/pets/" in error["message"]) == ("invalid", True)
    assert error["cure"] == "upload it again, or register its new place"


def test_what_is_not_there_is_refused(client: TestClient, bucket: Path) -> None:
    answer = client.post(DATASETS, json={"id": "pets", "uri": "s3://bucket/nowhere/"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "uri")
    assert "s3://bucket/nowhere/" in answer.json()["detail"]


def test_a_folder_of_this_machine_has_to_be_uploaded(client: TestClient, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "pets", document())
    answer = client.post(DATASETS, json={"id": "pets", "path": str(folder)})
    assert (answer.status_code, answer.json()["upload"]) == (422, True)


def test_an_upload_goes_to_the_bucket_and_away_with_the_dataset(
    client: TestClient, worker: DatasetWorker, bucket: Path, zipped: bytes
) -> None:
    client.post(DATASETS, data={"id": "pets"}, files={"file": ("pets.zip", zipped)})
    assert (bucket / "datasets" / "pets.zip").read_bytes() == zipped
    task = done(client, worker, "pets", "export", to="yolo")
    (output,) = task["outputs"]
    assert output["uri"] == f"s3://bucket/exports/dataset-pets/{task['id']}/pets-yolo.zip"
    answer = client.get(f"{DATASETS}/pets/tasks/{task['id']}/outputs/pets-yolo.zip?redirect=false")
    assert (answer.status_code, len(answer.content)) == (200, output["size"])
    assert client.delete(f"{DATASETS}/pets").status_code == 204
    assert [path for path in bucket.rglob("*") if path.is_file()] == []


def test_a_repaired_copy_lies_in_the_bucket(
    client: TestClient, worker: DatasetWorker, bucket: Path, settings: Settings, tmp_path: Path
) -> None:
    broken = document()
    broken["annotations"][0]["bbox"] = [30, 2, 10, 10]
    folder = write_dataset(tmp_path / "pets", document())
    (folder / "annotations.json").write_text(json.dumps(broken))
    # Through the server: what lies beside it is believed some minutes later.
    for path in (path for path in folder.rglob("*") if path.is_file()):
        open_storage(settings).write_file(f"flawed/pets/{path.relative_to(folder)}", path)
    client.post(DATASETS, json={"id": "pets", "uri": "s3://bucket/flawed/pets/"})
    fixed = done(client, worker, "pets", "fix", register=True)
    row = client.get(f"{DATASETS}/pets").json()
    assert (row["uri"], row["origin"]) == (f"s3://bucket/datasets/pets.{fixed['id']}/", "s3://bucket/flawed/pets/")
    assert done(client, worker, "pets", "check")["result"]["errors"] == []
    assert json.loads((bucket / "flawed" / "pets" / "annotations.json").read_text()) == broken
