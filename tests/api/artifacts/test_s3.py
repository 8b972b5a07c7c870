"""What a bucket has to tell: that it is away, that it refuses, that it is full."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from api.artifacts.s3 import S3Storage
from api.artifacts.storage import open_storage
from api.errors import StorageFull, Unavailable
from tests.api.artifacts.conftest import free_port, s3_settings


def test_a_server_that_is_away_is_named(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    storage = open_storage(s3_settings(tmp_path, address))
    for use in (
        lambda: storage.exists("s3://tiphys/a/"),
        lambda: storage.size("s3://tiphys/a"),
        lambda: storage.write_file("a", io.BytesIO(b"x")),
        storage.probe,
    ):
        with pytest.raises(Unavailable) as caught:
            use()
        assert address in caught.value.message
        assert "TIPHYS_STORAGE_ENDPOINT" in caught.value.cure


def test_wrong_credentials_are_told_without_naming_them(tmp_path: Path, s3_server: tuple[str, Path]) -> None:
    storage = open_storage(s3_settings(tmp_path, s3_server[0], storage_secret_key="another-secret"))
    with pytest.raises(Unavailable) as caught:
        storage.probe()
    assert "credentials" in caught.value.cure
    assert "another-secret" not in caught.value.message + caught.value.cure


def test_a_bucket_that_does_not_exist_is_told(tmp_path: Path, s3_server: tuple[str, Path]) -> None:
    storage = open_storage(s3_settings(tmp_path, s3_server[0], storage_bucket="missing"))
    with pytest.raises(Unavailable) as caught:
        storage.probe()
    assert "TIPHYS_STORAGE_BUCKET (missing)" in caught.value.cure


@pytest.mark.parametrize(
    "response",
    [
        {"Error": {"Code": "XMinioStorageFull"}, "ResponseMetadata": {"HTTPStatusCode": 507}},
        {"Error": {"Code": "QuotaExceeded"}, "ResponseMetadata": {"HTTPStatusCode": 403}},
        {"Error": {"Code": "Other"}, "ResponseMetadata": {"HTTPStatusCode": 507}},
    ],
)
def test_a_full_bucket_is_told_as_such(tmp_path: Path, response: dict[str, object]) -> None:
    storage = open_storage(s3_settings(tmp_path, "http://127.0.0.1:1"))
    assert isinstance(storage, S3Storage)
    problem = storage._problem("best.pt", response)
    assert isinstance(problem, StorageFull)
    assert "best.pt" in problem.message


def test_only_its_own_bucket_is_contained(tmp_path: Path) -> None:
    storage = open_storage(s3_settings(tmp_path, "http://127.0.0.1:1"))
    assert storage.contains("s3://tiphys/a")
    assert not storage.contains("s3://tiphys2/a")
    assert not storage.contains("file:///tiphys/a")


def test_without_its_library_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["boto3"] = None  # as if it were not installed
from api.artifacts.s3 import S3Storage
from api.errors import Unavailable
from workflows.keys import StorageTarget
try:
    S3Storage(StorageTarget(type="minio", bucket="b", endpoint="http://127.0.0.1:1"), {}).probe()
except Unavailable as error:
    print(error.cure)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "install tiphys[s3]\n", done.stderr
