"""Both stages, each made once for the whole suite."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.found import argo, cluster
from tests.conformance.recording import FOLDER, Recorder
from tests.conformance.stage import Stage, argo_stage, local_stage
from tests.e2e.conftest import REPO
from workflows.argo.access import Access
from workflows.argo.client import Client

__all__ = ["argo", "cluster"]


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small DICE dataset of real handwritten digits."""
    folder = tmp_path_factory.mktemp("data") / "digits"
    script = REPO / "workflows" / "examples" / "make_digits.py"
    subprocess.run([sys.executable, script, folder, "--scenes", "24", "8"], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def broken(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a box outside of its image."""
    folder = shutil.copytree(dataset, tmp_path_factory.mktemp("data") / "broken")
    path = folder / "annotations_detection.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["bbox"] = [150, 150, 60, 60]
    path.write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="session")
def local(dataset: Path, broken: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with local_stage(tmp_path_factory.mktemp("local"), dataset) as stage:
        stage.platform.tiphys("dataset", "add", broken, "--id", "broken", check=False)
        yield stage


@pytest.fixture(scope="session")
def cluster_stage(
    dataset: Path, broken: Path, cluster: Access, argo: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    with argo_stage(tmp_path_factory.mktemp("argo"), dataset, cluster, argo) as stage:
        stage.platform.tiphys("dataset", "add", broken, "--id", "broken", check=False)
        yield stage


@pytest.fixture(scope="session")
def recorder(cluster_stage: Stage) -> Iterator[Recorder | None]:
    """Keeps what the controller writes, where that is asked for."""
    if not os.environ.get(FOLDER):
        yield None
        return
    assert cluster_stage.namespace is not None
    made = Recorder(Client(replace(cluster_stage.namespace.admin, namespace=cluster_stage.namespace.name)))
    yield made
    made.close()
