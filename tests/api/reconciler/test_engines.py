"""Opening the engine that the settings name, and what is said where that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.reconciler.engines import NoEngine, open_engine
from api.settings import Settings
from workflows.argo import ArgoEngine
from workflows.engine import Engine, Versioned
from workflows.local import LocalEngine

KUBECONFIG = """
current-context: here
contexts: [{name: here, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {token: t}}]
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    return path


def _argo(tmp_path: Path, here: Path, **more: object) -> Settings:
    values: dict[str, object] = {
        "home": tmp_path,
        "engine": "argo",
        "kubeconfig": here,
        "storage_type": "s3",
        "public_url": "http://10.0.0.1:8137",
        "argo_server": "http://127.0.0.1:9",
    }
    return Settings(**{**values, **more})


def test_the_local_engine_is_the_default(tmp_path: Path) -> None:
    engine = open_engine(Settings(home=tmp_path))
    assert isinstance(engine, LocalEngine)
    engine.close()


def test_argo_is_opened_without_a_call(tmp_path: Path, kubeconfig: Path) -> None:
    engine = open_engine(_argo(tmp_path, kubeconfig, argo_token="t"))
    assert isinstance(engine, ArgoEngine)
    assert isinstance(engine, Engine)
    assert isinstance(engine, Versioned)
    engine.close()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"storage_type": "file"}, "TIPHYS_STORAGE_TYPE"),
        ({"public_url": None}, "TIPHYS_PUBLIC_URL"),
        ({"public_url": "http://localhost:1"}, "TIPHYS_PUBLIC_URL"),
        ({"kubeconfig": Path("/no/such/file")}, "/no/such/file cannot be read"),
        ({"kube_context": "there"}, "has no context 'there'; it has: here"),
        ({"argo_ca": Path("/no/such/ca")}, "certificate cannot be read"),
        ({"argo_server": "argo-server:2746"}, "TIPHYS_ARGO_SERVER is argo-server:2746: write it as https://"),
        ({"argo_server": "https://"}, "TIPHYS_ARGO_SERVER"),
        ({"argo_token": "two words"}, "token for the cluster is empty or holds characters"),
    ],
)
def test_what_cannot_work_is_said_before_the_first_job(
    tmp_path: Path, kubeconfig: Path, values: dict[str, object], says: str
) -> None:
    with pytest.raises(NoEngine, match=says):
        open_engine(_argo(tmp_path, kubeconfig, **values))
