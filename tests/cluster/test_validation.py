"""Every workflow that the repository shows is taken by a real API server, to the last field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.namespace import Namespace
from workflows.argo.identity import identify, noted
from workflows.engine import EngineUnavailable

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
SHOWN = sorted([*ROOT.glob("tests/workflows/golden/*.yaml"), *ROOT.glob("workflows/examples/*.yaml")])
MANIFESTS = [path for path in SHOWN if (yaml.safe_load(path.read_text()) or {}).get("kind") == "Workflow"]
STRICT = {"dryRun": "All", "fieldValidation": "Strict"}


def _offer(namespace: Namespace, manifest: dict[str, Any]) -> None:
    body = noted(manifest, identify(manifest), namespace=namespace.name)
    client = namespace.client
    client.call("POST", client.workflows(), what="offer it", body=body, query=STRICT)


def test_there_are_some() -> None:
    assert len(MANIFESTS) >= 4


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_shown_workflow_is_taken_as_it_is(namespace: Namespace, path: Path) -> None:
    _offer(namespace, yaml.safe_load(path.read_text()))


def test_a_field_that_does_not_exist_is_not(namespace: Namespace) -> None:
    manifest = yaml.safe_load(MANIFESTS[0].read_text())
    manifest["spec"]["templates"][0]["retryStrategie"] = {"limit": 1}
    with pytest.raises(EngineUnavailable, match=r"unknown field .*retryStrategie"):
        _offer(namespace, manifest)
