"""Datasets: registered by path, URI or upload, listed, shown, forgotten."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.datasets import service
from api.db import Database
from api.settings import Settings
from tests.api.datasets.conftest import MakeDataset
from tests.api.factories import create_dataset, create_job, create_snapshot

DATASETS = "/api/v1/datasets"


def upload(client: TestClient, content: bytes, *, filename: str = "pets.zip", **fields: str) -> httpx.Response:
    return client.post(DATASETS, data=fields, files={"file": (filename, content, "application/zip")})


def left_behind(settings: Settings) -> list[str]:
    """Everything that an upload may have left: objects, and files half received."""
    home = settings.resolved_home()
    storage = [path.name for path in (home / "storage").rglob("*") if path.is_file()]
    return sorted(storage + [path.name for path in home.glob(".upload-*")])


def test_a_folder_is_registered_where_it_lies(client: TestClient, make_dataset: MakeDataset) -> None:
    folder = make_dataset()
    answer = client.post(DATASETS, json={"id": "pets", "path": str(folder)})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["id"], made["name"], made["uri"], made["source"]) == ("pets", "pets", f"file://{folder}/", "reference")
    assert made["layout"] is made["checked_at"] is made["check_report"] is None
    assert client.get(f"{DATASETS}/pets").json() == made
    assert [item["id"] for item in client.get(DATASETS).json()["items"]] == ["pets"]


def test_without_an_id_the_folder_gives_it(client: TestClient, make_dataset: MakeDataset) -> None:
    assert client.post(DATASETS, json={"path": str(make_dataset("cats"))}).json()["id"] == "cats"


def test_a_name_that_a_uri_must_quote(client: TestClient, make_dataset: MakeDataset) -> None:
    folder = make_dataset("my pets #1?")
    made = client.post(DATASETS, json={"id": "pets", "path": str(folder)}).json()
    assert made["uri"].endswith("/my%20pets%20%231%3F/")
    assert client.post(DATASETS, json={"id": "same", "uri": made["uri"]}).json()["uri"] == made["uri"]


def test_a_zip_may_be_referenced(client: TestClient, tmp_path: Path, zipped: bytes) -> None:
    path = tmp_path / "there.zip"
    path.write_bytes(zipped)
    assert client.post(DATASETS, json={"path": str(path)}).json()["uri"] == f"file://{path}"


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"id": "a", "path": "/no/such/folder"}, "path", "/no/such/folder"),
        ({"id": "a", "path": "relative"}, "path", "absolute"),
        ({"id": "a", "uri": "file:///no/such/"}, "uri", "/no/such"),
        ({"id": "a", "uri": "https://x/y.zip"}, "uri", "https://x/y.zip"),
        ({"id": "a", "uri": "s3://bucket/x/"}, "uri", "folder"),
        ({"id": "a"}, "path", "either"),
        ({"id": "a", "path": "/", "uri": "file:///"}, "path", "either"),
        ({"id": "a", "path": "/dev/null"}, "path", "/dev/null"),
        ({"id": "a", "pth": "/"}, "pth", "pth"),
        ({"id": 7, "path": "/"}, "id", "id"),
    ],
)
def test_a_reference_to_nothing_is_refused(client: TestClient, body: dict[str, Any], field: str, said: str) -> None:
    answer = client.post(DATASETS, json=body)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["errors"][0]["field"] == field
    assert said in problem["detail"]
    assert problem["cure"]


@pytest.mark.parametrize("made_id", ["../x", "a/b", ".hidden", "-x", "", "x" * 129, "a b"])
def test_an_id_that_cannot_stand_in_a_key_is_refused(
    client: TestClient, make_dataset: MakeDataset, made_id: str
) -> None:
    answer = client.post(DATASETS, json={"id": made_id, "path": str(make_dataset())})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "id")


def test_a_folder_that_is_no_dataset_is_refused(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "song.mp3").write_bytes(b"la")
    answer = client.post(DATASETS, json={"path": str(tmp_path / "music")})
    assert answer.status_code == 422
    assert "does not look like a dataset" in answer.json()["detail"]


def test_again_is_no_error_and_another_under_the_same_id_is(client: TestClient, make_dataset: MakeDataset) -> None:
    one, other = make_dataset("one"), make_dataset("other")
    first = client.post(DATASETS, json={"id": "pets", "path": str(one)}).json()
    assert client.post(DATASETS, json={"id": "pets", "path": str(one)}).json() == first
    answer = client.post(DATASETS, json={"id": "pets", "path": str(other)})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert str(one) in answer.json()["detail"]


def test_an_id_whose_data_vanished_is_free(client: TestClient, make_dataset: MakeDataset) -> None:
    one, other = make_dataset("one"), make_dataset("other")
    client.post(DATASETS, json={"id": "pets", "path": str(one)})
    one.rename(one.with_name("moved"))
    assert client.post(DATASETS, json={"id": "pets", "path": str(other)}).status_code == 201
    assert client.get(f"{DATASETS}/pets").json()["uri"] == f"file://{other}/"


def test_an_uploaded_zip_is_kept_in_storage(client: TestClient, settings: Settings, zipped: bytes) -> None:
    answer = upload(client, zipped, id="pets", name="Pets of all kinds")
    assert answer.status_code == 201
    made = answer.json()
    stored = settings.resolved_home() / "storage" / "datasets" / "pets.zip"
    assert (made["uri"], made["source"], made["name"]) == (f"file://{stored}", "upload", "Pets of all kinds")
    assert stored.read_bytes() == zipped
    assert left_behind(settings) == ["pets.zip"]


def test_without_an_id_the_file_gives_it(client: TestClient, zipped: bytes) -> None:
    assert upload(client, zipped, filename="dogs.zip").json()["id"] == "dogs"


@pytest.mark.parametrize(
    ("content", "fields", "status", "field"),
    [
        (b"no zip at all", {"id": "a"}, 422, "file"),
        (b"", {"id": "a"}, 422, "file"),
        (b"PK\x03\x04 cut off", {"id": "a"}, 422, "file"),
        (b"PK\x05\x06" + b"\0" * 18, {"id": "a"}, 422, "file"),
        (None, {"id": "../a"}, 422, "id"),
        (None, {"id": "a", "colour": "red"}, 422, "colour"),
        (None, {"id": "a" * 5000}, 422, "id"),
    ],
)
def test_a_bad_upload_leaves_nothing_behind(
    client: TestClient,
    settings: Settings,
    zipped: bytes,
    content: bytes | None,
    fields: dict[str, str],
    status: int,
    field: str,
) -> None:
    answer = client.post(DATASETS, data=fields, files={"file": ("a.zip", zipped if content is None else content)})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)
    assert left_behind(settings) == []
    assert client.get(DATASETS).json()["items"] == []


def test_an_upload_needs_a_file(client: TestClient, settings: Settings) -> None:
    answer = client.post(DATASETS, files={"id": (None, "pets")})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file")
    assert left_behind(settings) == []


def test_an_upload_of_fields_without_end_is_refused(client: TestClient, settings: Settings) -> None:
    answer = client.post(DATASETS, files={f"field-{n}": (None, "x" * 4096) for n in range(100)})
    assert (answer.status_code, answer.json()["detail"]) == (422, "there are too many fields")
    assert left_behind(settings) == []


def test_an_upload_that_is_cut_off_leaves_nothing(client: TestClient, settings: Settings, zipped: bytes) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
    for body in (head + zipped, b"nonsense", b""):
        answer = client.post(DATASETS, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert client.post(DATASETS, content=b"x", headers={"Content-Type": "multipart/form-data"}).status_code == 400
    assert left_behind(settings) == []


def test_an_upload_does_not_replace_a_dataset(client: TestClient, settings: Settings, zipped: bytes) -> None:
    upload(client, zipped, id="pets")
    answer = upload(client, zipped[:-1] + b"\0", id="pets")
    assert answer.status_code == 409
    assert (settings.resolved_home() / "storage" / "datasets" / "pets.zip").read_bytes() == zipped


def test_of_two_uploads_at_once_one_wins(client: TestClient, settings: Settings, zipped: bytes) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(upload(client, zipped, id="pets").status_code)) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409]
    assert left_behind(settings) == ["pets.zip"]


class TestLimit:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"upload_limit": 100})

    @pytest.mark.parametrize("size", [101, 30_000])
    def test_an_upload_beyond_the_limit_413(self, client: TestClient, settings: Settings, size: int) -> None:
        answer = upload(client, b"x" * size, id="pets")
        assert (answer.status_code, answer.json()["code"]) == (413, "dataset_too_large")
        assert left_behind(settings) == []


def test_storage_that_is_full_507(
    client: TestClient, settings: Settings, zipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("api.datasets.outputs.os.replace", full)
    answer = upload(client, zipped, id="pets")
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert left_behind(settings) == []
    assert client.get(DATASETS).json()["items"] == []


def test_an_unknown_dataset_404_names_near_ones(client: TestClient, database: Database) -> None:
    with database.write() as session:
        create_dataset(session, id="digits")
    for method, path in (
        ("GET", "/digit"),
        ("POST", "/digit/check"),
        ("DELETE", "/digit"),
        ("GET", "/digit/snapshots"),
        ("GET", "/digit/snapshots/x"),
    ):
        answer = client.request(method, DATASETS + path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "digits" in answer.json()["cure"]


def test_deleting_an_upload_frees_its_space(client: TestClient, settings: Settings, zipped: bytes) -> None:
    upload(client, zipped, id="pets")
    assert client.delete(f"{DATASETS}/pets").status_code == 204
    assert left_behind(settings) == []
    assert client.get(f"{DATASETS}/pets").status_code == 404
    assert upload(client, zipped, id="pets").status_code == 201


def test_an_upload_needs_no_second_room(
    client: TestClient, settings: Settings, zipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied(*_: Any) -> None:
        raise AssertionError("the upload was copied")

    monkeypatch.setattr("api.artifacts.files._copy", copied)
    assert upload(client, zipped, id="pets").status_code == 201
    assert left_behind(settings) == ["pets.zip"]


def test_an_upload_whose_record_fails_leaves_nothing(
    client: TestClient, settings: Settings, zipped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(service, "_register", fails)
    assert upload(client, zipped, id="pets").status_code == 507
    assert left_behind(settings) == []


def test_a_dataset_that_is_going_takes_nothing_new(client: TestClient, database: Database) -> None:
    with database.write() as session:
        create_dataset(session, id="digits", deleting=True)
    for method, path, body in (
        ("POST", f"{DATASETS}/digits/tasks", {"kind": "check"}),
        ("PUT", f"{DATASETS}/digits/split", {"split": None}),
        ("POST", DATASETS, {"id": "digits", "path": "/tmp"}),
    ):
        answer = client.request(method, path, json=body)
        assert answer.status_code in (409, 422)
    job = client.post("/api/v1/training/jobs", json={"framework": "toy", "dataset": "digits"})
    assert (job.status_code, job.json()["code"]) == (422, "dataset_unknown")
    assert "being deleted" in job.json()["detail"]
    assert client.delete(f"{DATASETS}/digits").status_code == 204, "which finishes what broke off"


def test_deleting_a_reference_leaves_the_users_files(client: TestClient, make_dataset: MakeDataset) -> None:
    folder = make_dataset()
    before = sorted(folder.rglob("*"))
    client.post(DATASETS, json={"id": "pets", "path": str(folder)})
    assert client.delete(f"{DATASETS}/pets").status_code == 204
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("state", "status"),
    [("pending", 409), ("queued", 409), ("running", 409), ("cancelling", 409), ("succeeded", 204), ("failed", 204)],
)
def test_a_dataset_in_use_stays(client: TestClient, database: Database, state: str, status: int) -> None:
    with database.write() as session:
        create_dataset(session, id="digits", uri="file:///data/digits/")
        job = create_job(session, state=state, dataset="/data/digits", dataset_uri="file:///data/digits/")
    answer = client.delete(f"{DATASETS}/digits")
    assert answer.status_code == status
    if status == 409:
        assert job.id in answer.json()["detail"]
        assert "cancel" in answer.json()["cure"]


def test_snapshots_are_told(client: TestClient, database: Database) -> None:
    with database.write() as session:
        create_dataset(session, id="digits")
        create_snapshot(session, id="snap-1", dataset_id="digits")
        create_snapshot(session, id="snap-2", dataset_id="other")
    (item,) = client.get(f"{DATASETS}/digits/snapshots").json()["items"]
    assert item["id"] == "snap-1"
    assert "split" not in item
    assert item["images"] == {"train": 1, "val": 1, "test": 0}
    assert "tiphys dataset snapshots digits" in client.get(f"{DATASETS}/digits/snapshots/snap-9").json()["cure"]
    assert client.get("/api/v1/snapshots/snap-2").json()["dataset_id"] == "other"
    assert client.get("/api/v1/snapshots/snap-3").status_code == 404
    assert client.get(f"{DATASETS}/digits/snapshots/snap-1").json()["split"] == {
        "train": ["1"],
        "val": ["2"],
        "test": [],
    }
    answer = client.get(f"{DATASETS}/digits/snapshots/snap-2")
    assert answer.status_code == 404
    assert "snap-1" in answer.json()["cure"]


def test_what_is_uploaded_is_what_the_zip_holds(client: TestClient, settings: Settings, zipped: bytes) -> None:
    uri = upload(client, zipped, id="pets").json()["uri"]
    with zipfile.ZipFile(uri.removeprefix("file://")) as archive:
        assert archive.testzip() is None
