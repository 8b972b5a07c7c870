"""The engine against a real API server: rights, ownership, quotas, and what it says where something is missing."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.namespace import PLATFORM, Namespace, namespace_in
from workflows.argo.access import Access
from workflows.argo.client import MERGE, Client
from workflows.argo.engine import ArgoEngine
from workflows.engine import EngineRefused, EngineUnavailable

pytestmark = pytest.mark.cluster

LIVE = ("", "Running")
"""A suspended workflow's phase without and with a controller."""
JOBS = iter(f"{letter}2345678" for letter in "abcdefghjkmnpqrstvwxyz")


@pytest.fixture(scope="module")
def engine(namespace: Namespace) -> Iterator[ArgoEngine]:
    """An engine with the rights it asks for, and no other."""
    made = ArgoEngine(Client(namespace.account("platform", PLATFORM)))
    yield made
    made.close()


def manifest(job: str | None = None) -> dict[str, Any]:
    """A workflow that nobody runs: it begins suspended."""
    job = job or next(JOBS)
    container = {"image": "none/such:1", "command": ["true"]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": f"train-{job}-1", "labels": {"tiphys/job-id": job, "tiphys/attempt": "1"}},
        "spec": {"entrypoint": "main", "suspend": True, "templates": [{"name": "main", "container": container}]},
    }


def _name(of: dict[str, Any]) -> str:
    return str(of["metadata"]["name"])


def _until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_a_namespace_without_workflows_has_no_names(cluster: Access) -> None:
    with namespace_in(cluster) as empty:
        engine = ArgoEngine(Client(empty.account("platform", PLATFORM)))
        assert engine.names() == []
        engine.close()


def test_the_secret_goes_with_its_workflow(namespace: Namespace, engine: ArgoEngine) -> None:
    wanted = manifest()
    name, secrets = _name(wanted), namespace.client.secrets(_name(wanted))
    engine.submit(wanted, secrets={"CALLBACK_TOKEN": "s3cret"})
    engine.submit(wanted, secrets={"CALLBACK_TOKEN": "s3cret"})
    assert engine.names().count(name) == 1
    # Not through the engine: whoever deletes the workflow, Kubernetes removes the Secret.
    namespace.client.call("DELETE", namespace.client.workflows(name), what="delete")
    _until(lambda: namespace.client.call("GET", secrets, what="look", allow=(404,)).status_code == 404)
    assert engine.get(name) is None


def test_another_workflow_of_that_name_is_recognised(namespace: Namespace, engine: ArgoEngine) -> None:
    wanted = manifest()
    other = {**wanted, "metadata": {"name": _name(wanted)}}
    namespace.client.call("POST", namespace.client.workflows(), what="create", body=other)
    with pytest.raises(EngineRefused, match="another workflow is already called"):
        engine.submit(wanted, secrets={"CALLBACK_TOKEN": "s3cret"})
    engine.stop(_name(wanted))
    engine.delete(_name(wanted))
    assert engine.get(_name(wanted)) is None
    there = namespace.client.call("GET", namespace.client.workflows(_name(wanted)), what="look").json()
    assert "shutdown" not in there["spec"]
    secrets = namespace.client.call("GET", namespace.client.secrets(), what="list").json()["items"]
    assert _name(wanted) not in [secret["metadata"]["name"] for secret in secrets]


def test_what_the_definitions_do_not_allow_is_refused_with_the_place(engine: ArgoEngine) -> None:
    wanted = manifest()
    wanted["spec"]["activeDeadlineSeconds"] = "soon"
    with pytest.raises(EngineRefused, match="activeDeadlineSeconds"):
        engine.submit(wanted, secrets={})


def test_a_wish_arrives(engine: ArgoEngine) -> None:
    wanted = manifest()
    engine.submit(wanted, secrets={})
    engine.stop(_name(wanted))
    found = engine.get(_name(wanted))
    assert found is not None
    assert found["spec"] == {"shutdown": "Stop"}
    engine.delete(_name(wanted))
    assert engine.get(_name(wanted)) is None


def test_without_rights_it_says_what_is_not_allowed(namespace: Namespace) -> None:
    poor = ArgoEngine(Client(namespace.account("poor", [])))
    with pytest.raises(EngineUnavailable, match=r"cannot create resource .*give this account the role it needs"):
        poor.submit(manifest(), secrets={})
    with pytest.raises(EngineUnavailable, match="does not allow to list workflows"):
        poor.names()
    poor.close()


def test_a_token_that_is_not_valid_any_more_is_said(cluster: Access) -> None:
    late = ArgoEngine(Client(dataclasses.replace(cluster, token=lambda: "expired")))
    with pytest.raises(EngineUnavailable, match="does not accept the token any more"):
        late.get("train-22345678-1")
    late.close()


def test_a_namespace_that_is_not_there_is_said(cluster: Access) -> None:
    lost = ArgoEngine(Client(dataclasses.replace(cluster, namespace="no-such-place")))
    with pytest.raises(EngineUnavailable, match="create the namespace, or set TIPHYS_ARGO_NAMESPACE"):
        lost.submit(manifest(), secrets={})
    assert lost.get("train-22345678-1") is None
    lost.close()


def test_a_quota_is_waited_for(cluster: Access) -> None:
    with namespace_in(cluster) as small:
        engine = ArgoEngine(Client(small.account("platform", PLATFORM)))
        body = {"metadata": {"name": "few"}, "spec": {"hard": {"count/workflows.argoproj.io": "1"}}}
        small.post(f"/api/v1/namespaces/{small.name}/resourcequotas", body)

        def full() -> bool:
            try:
                engine.submit(manifest(), secrets={"CALLBACK_TOKEN": "s3cret"})
            except EngineUnavailable as error:
                return "quota is used up" in error.message or "status unknown" in error.message
            return False

        # The quota's controller counts what is there a moment later.
        _until(full)
        engine.close()


def test_the_watch_tells_an_end_with_its_status_and_a_deletion(namespace: Namespace, engine: ArgoEngine) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=engine.serve, args=(stop,))
    wanted, later = manifest(), manifest()
    engine.submit(wanted, secrets={})
    thread.start()

    def phase(of: dict[str, Any]) -> str | None:
        try:
            found = engine.get(_name(of))
        except EngineUnavailable:
            return "not yet"
        return found["status"].get("phase", "") if found else None

    try:
        _until(lambda: phase(wanted) in LIVE)
        engine.submit(later, secrets={})
        assert phase(later) in LIVE
        for name in (_name(wanted), _name(later)):
            labels = {"workflows.argoproj.io/completed": "true"}
            body = {"metadata": {"labels": labels}, "status": {"phase": "Succeeded"}}
            path = namespace.client.workflows(name)
            namespace.client.call("PATCH", path, what="end it", body=body, kind=MERGE)
        _until(lambda: phase(wanted) == "Succeeded" and phase(later) == "Succeeded")
        namespace.client.call("DELETE", namespace.client.workflows(_name(wanted)), what="delete")
        _until(lambda: phase(wanted) is None)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
