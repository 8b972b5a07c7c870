"""The dataset of a job: an id, a path or a URI, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.db import Database
from api.jobs.dataset import DatasetUnknown, resolve_dataset
from api.platform import Platform
from tests.api.factories import create_dataset


def resolve(platform: Platform, dataset: str) -> str:
    return resolve_dataset(platform.database, platform.storage, dataset)


@pytest.fixture
def registered(database: Database, folder: Path) -> str:
    with database.write() as session:
        create_dataset(session, id="digits", uri=f"file://{folder}/")
        create_dataset(session, id="bolts", uri="s3://elsewhere/bolts/")
    return "digits"


def test_a_registered_id_is_where_it_was_registered(platform: Platform, registered: str, folder: Path) -> None:
    assert resolve(platform, registered) == f"file://{folder}/"
    assert resolve(platform, "bolts") == "s3://elsewhere/bolts/"


def test_a_path_and_its_uri_are_the_same(platform: Platform, folder: Path) -> None:
    assert resolve(platform, str(folder)) == f"file://{folder}/"
    assert resolve(platform, f"{folder}/") == f"file://{folder}/"
    assert resolve(platform, f"file://{folder}") == f"file://{folder}/"


def test_a_zip_is_one_file(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "digits.zip").write_bytes(b"PK")
    assert resolve(platform, str(tmp_path / "digits.zip")) == f"file://{tmp_path}/digits.zip"


def test_odd_names_stay_one_place(platform: Platform, tmp_path: Path) -> None:
    odd = tmp_path / "a b#c?d%20é"
    odd.mkdir()
    uri = resolve(platform, str(odd))
    assert platform.storage.local_path(uri) == odd
    assert resolve(platform, uri) == uri


@pytest.mark.parametrize(
    ("asked", "message", "cure"),
    [
        ("digts", "no dataset 'digts'", "did you mean digits"),
        ("nothing-like-it", "no dataset 'nothing-like-it'", "tiphys dataset add"),
        ("data/digits", "neither a dataset's id, nor an absolute path", "absolute path"),
        ("~/digits", "begins with '~'", "absolute path"),
        ("/nonexistent/digits", "/nonexistent/digits does not exist", "tiphys dataset add"),
        ("file:///nonexistent/", "/nonexistent does not exist", "tiphys dataset add"),
        ("file://host/data/", "not a file URI", "file:///"),
        ("s3://bucket/digits/", "keeps its files in a folder", "tiphys dataset add"),
    ],
)
def test_what_is_not_there_is_named_with_its_cure(
    platform: Platform, registered: str, asked: str, message: str, cure: str
) -> None:
    with pytest.raises(DatasetUnknown) as caught:
        resolve(platform, asked)
    assert message in caught.value.message
    assert cure in caught.value.cure
    assert caught.value.status == 422


def test_a_plain_file_is_no_dataset(platform: Platform, folder: Path) -> None:
    with pytest.raises(DatasetUnknown, match=r"neither a folder nor a \.zip"):
        resolve(platform, str(folder / "annotations.json"))


def test_a_registered_dataset_whose_files_are_gone(platform: Platform, registered: str, folder: Path) -> None:
    (folder / "annotations.json").unlink()
    with pytest.raises(DatasetUnknown, match="is registered, but there is nothing left"):
        resolve(platform, registered)
