"""A tiny real dataset, as a folder, as a zip and registered; and a script in the place of the steps' program."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.settings import Settings
from tests.api.datasets.tasks import DATASETS

MakeDataset = Callable[..., Path]


def document(images: int = 4) -> dict[str, Any]:
    """A DICE 1.0 document of images with one box each."""
    categories = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    ids = range(1, images + 1)
    return {
        "info": {"version": "1.0.0"},
        "storage_info": {"storage_type": "local", "image_root": "images/"},
        "categories": categories,
        "images": [{"id": i, "file_name": f"{i}.png", "width": 32, "height": 24} for i in ids],
        "annotations": [
            {"id": i, "image_id": i, "category_id": categories[i % 2]["id"], "bbox": [2, 2, 10, 10], "area": 100}
            for i in ids
        ],
    }


def write_dataset(folder: Path, told: dict[str, Any]) -> Path:
    """Writes a document and its images."""
    (folder / "images").mkdir(parents=True)
    (folder / "annotations.json").write_text(json.dumps(told))
    for image in told["images"]:
        Image.new("RGB", (32, 24), (image["id"] * 9 % 255, 80, 120)).save(folder / "images" / image["file_name"])
    return folder


@pytest.fixture
def make_dataset(tmp_path: Path) -> MakeDataset:
    """Writes a dataset's folder below the test's own."""

    def make(name: str = "pets") -> Path:
        return write_dataset(tmp_path / name, document())

    return make


@pytest.fixture
def zipped(make_dataset: MakeDataset) -> bytes:
    """The dataset packed with its top folder, as people do."""
    folder, packed = make_dataset("packed"), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent).as_posix())
    return packed.getvalue()


@pytest.fixture
def pets(client: TestClient, make_dataset: MakeDataset) -> Path:
    """A registered dataset; returns its folder."""
    folder = make_dataset()
    assert client.post(DATASETS, json={"id": "pets", "path": str(folder)}).status_code == 201
    return folder


@pytest.fixture
def program(settings: Settings) -> Callable[[str], None]:
    """Puts a shell script in the place of the steps' interpreter."""

    def put(script: str) -> None:
        python = settings.environments / "steps" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)

    return put
