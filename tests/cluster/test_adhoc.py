"""A script's workflow by each of its doors: the Kubernetes API, an Argo Server, Hera's own service."""

from __future__ import annotations

from typing import Any

import pytest
from hera.workflows import Container, Workflow, WorkflowsService

from tests.cluster.found import IMAGE, kubeconfig
from tests.cluster.namespace import Namespace
from workflows import adhoc
from workflows.engine import EngineRefused


def _workflow(name: str, **more: Any) -> Workflow:
    # Nobody's: no controller starts it.
    labels = {"workflows.argoproj.io/controller-instanceid": "nobody"}
    with Workflow(name=name, entrypoint="main", labels=labels, **more) as w:
        Container(name="main", image=IMAGE, command=["true"])
    return w


def _there(namespace: Namespace, name: str) -> Any:
    return namespace.client.call("GET", namespace.client.workflows(name), what="look").json()


@pytest.mark.cluster
def test_through_the_kubernetes_api(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig()))
    for _ in range(2):
        assert adhoc.submit(_workflow("by-kubernetes"), namespace=namespace.name) == "by-kubernetes"
    assert _there(namespace, "by-kubernetes")["spec"]["entrypoint"] == "main"
    with pytest.raises(EngineRefused, match="another workflow is already called by-kubernetes"):
        adhoc.submit(_workflow("by-kubernetes", priority=3), namespace=namespace.name)


@pytest.mark.argo
def test_through_an_argo_server(namespace: Namespace, argo: str) -> None:
    for _ in range(2):
        assert adhoc.submit(_workflow("by-argo"), argo=argo, namespace=namespace.name) == "by-argo"
    assert _there(namespace, "by-argo")["spec"]["entrypoint"] == "main"
    with pytest.raises(EngineRefused, match="another workflow is already called by-argo"):
        adhoc.submit(_workflow("by-argo", priority=3), argo=argo, namespace=namespace.name)


@pytest.mark.argo
def test_through_heras_own_service(namespace: Namespace, argo: str) -> None:
    w = _workflow("by-hera", namespace=namespace.name)
    w.workflows_service = WorkflowsService(host=argo, namespace=namespace.name)
    w.create()
    assert _there(namespace, "by-hera")["spec"]["entrypoint"] == "main"
