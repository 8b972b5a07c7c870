"""Submitting: Secret first, the workflow its owner, twice the same, never another's."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.workflows.argo.fake import Answer, Api, Behaviour, refused, serving
from tests.workflows.argo.store import Store, argo_server
from workflows.argo import Access, ArgoServer
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine
from workflows.engine import EngineRefused, EngineUnavailable

Serve = Callable[[Behaviour], tuple[Api, Client]]
NAME = "train-7k3mqz2x-1"
SECRETS = {"CALLBACK_TOKEN": "s3cret"}


def manifest(**spec: Any) -> dict[str, Any]:
    labels = {"tiphys/job-id": "7k3mqz2x", "tiphys/attempt": "1"}
    return {"kind": "Workflow", "metadata": {"name": NAME, "labels": labels}, "spec": {"entrypoint": "main", **spec}}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def served(api_of: Serve, store: Store) -> tuple[Api, ArgoEngine]:
    api, client = api_of(store)
    return api, ArgoEngine(client)


def test_the_secret_is_made_first_and_owned_afterwards(served: tuple[Api, ArgoEngine], store: Store) -> None:
    api, engine = served
    engine.submit(manifest(), secrets=SECRETS)
    assert api.deeds == ["POST secrets", "POST workflows", f"PATCH {NAME}"]
    made = store.kept["workflows"][NAME]
    secret = store.kept["secrets"][NAME]
    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == SECRETS
    assert secret["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert made["metadata"]["namespace"] == "jobs"
    assert "s3cret" not in str(made)
    assert {request.headers["Authorization"] for request in api.asked} == {"Bearer t0k3n"}


@pytest.mark.parametrize("broken", ["POST secrets", "POST workflows", f"PATCH {NAME}"])
def test_a_submit_that_broke_off_anywhere_is_made_whole_by_the_next(
    served: tuple[Api, ArgoEngine], store: Store, broken: str
) -> None:
    _, engine = served
    store.faults[broken] = [refused(500, "etcd is away")]
    with pytest.raises(EngineUnavailable):
        engine.submit(manifest(), secrets=SECRETS)
    engine.submit(manifest(), secrets=SECRETS)
    engine.submit(manifest(), secrets=SECRETS)
    made = store.kept["workflows"][NAME]
    assert store.kept["secrets"][NAME]["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert len(store.kept["workflows"]) == 1


def test_an_answer_that_never_came_is_no_second_workflow(served: tuple[Api, ArgoEngine], store: Store) -> None:
    api, engine = served
    engine.submit(manifest(), secrets={})
    before = store.kept["workflows"][NAME]["metadata"]["uid"]
    engine.submit(manifest(), secrets={})
    assert store.kept["workflows"][NAME]["metadata"]["uid"] == before
    assert api.deeds == ["POST workflows", "POST workflows", f"GET {NAME}"]


@pytest.mark.parametrize(
    "other",
    [
        {"labels": {}},
        {"labels": {"tiphys/job-id": "zzzzzzzz", "tiphys/attempt": "1"}},
        {
            "labels": {
                "app.kubernetes.io/managed-by": "tiphys",
                "tiphys/job-id": "7k3mqz2x",
                "tiphys/attempt": "1",
            },
            "annotations": {"tiphys/manifest": "of another job"},
        },
    ],
)
def test_a_name_that_is_anothers_is_refused_and_nothing_is_left(
    served: tuple[Api, ArgoEngine], store: Store, other: dict[str, Any]
) -> None:
    _, engine = served
    store.put("workflows", {"metadata": {"name": NAME, **other}, "spec": {}})
    with pytest.raises(EngineRefused, match=f"another workflow is already called {NAME} in namespace jobs"):
        engine.submit(manifest(), secrets=SECRETS)
    assert not store.kept["secrets"]


def test_a_secret_that_is_anothers_is_left_alone(served: tuple[Api, ArgoEngine], store: Store) -> None:
    _, engine = served
    store.put("secrets", {"metadata": {"name": NAME}, "stringData": {"mine": "1"}})
    with pytest.raises(EngineRefused, match="did not make"):
        engine.submit(manifest(), secrets=SECRETS)
    assert store.kept["secrets"][NAME]["stringData"] == {"mine": "1"}
    assert not store.kept["workflows"]


def test_a_refused_workflow_leaves_no_secret(served: tuple[Api, ArgoEngine], store: Store) -> None:
    _, engine = served
    store.faults["POST workflows"] = [refused(422, "spec.templates[0]: Invalid value", "Invalid")]
    with pytest.raises(EngineRefused, match="Invalid value"):
        engine.submit(manifest(), secrets=SECRETS)
    assert not store.kept["secrets"]


@pytest.mark.parametrize(("code", "message"), [(403, "workflows is forbidden"), (404, "the server could not find it")])
def test_one_that_was_turned_away_leaves_no_secret_either(
    served: tuple[Api, ArgoEngine], store: Store, code: int, message: str
) -> None:
    _, engine = served
    store.faults["POST workflows"] = [refused(code, message)]
    with pytest.raises(EngineUnavailable) as raised:
        engine.submit(manifest(), secrets=SECRETS)
    assert raised.value.untouched
    assert not store.kept["secrets"]


def test_a_secret_that_could_not_be_taken_back_is_something_done(served: tuple[Api, ArgoEngine], store: Store) -> None:
    _, engine = served
    store.faults["POST workflows"] = [refused(403, "workflows is forbidden")]
    store.faults[f"DELETE {NAME}"] = [refused(500, "etcd")]
    with pytest.raises(EngineUnavailable, match="forbidden") as raised:
        engine.submit(manifest(), secrets=SECRETS)
    assert not raised.value.untouched


def test_one_that_is_being_deleted_is_waited_for(served: tuple[Api, ArgoEngine], store: Store) -> None:
    _, engine = served
    engine.submit(manifest(), secrets={})
    store.kept["workflows"][NAME]["metadata"]["deletionTimestamp"] = "2026-11-21T18:00:00Z"
    with pytest.raises(EngineUnavailable, match="is being deleted"):
        engine.submit(manifest(), secrets={})


def test_through_an_argo_server_only_the_workflow_goes_there(api_of: Serve, store: Store) -> None:
    _, client = api_of(store)
    with serving(argo_server(store)) as second:
        server = ArgoServer(Access(url=second.url, namespace="jobs", token=lambda: "Bearer a"))
        engine = ArgoEngine(client, server=server)
        engine.submit(manifest(), secrets=SECRETS)
        engine.submit(manifest(), secrets=SECRETS)
        server.close()
    assert {request.headers["Authorization"] for request in second.asked} == {"Bearer a"}
    assert {(r.method, r.path) for r in second.asked} == {("POST", "/api/v1/workflows/jobs")}
    assert store.created == [("secrets", NAME), ("workflows", NAME)]
    assert store.kept["secrets"][NAME]["metadata"]["ownerReferences"]


def test_a_login_page_in_place_of_an_argo_server_is_said(api_of: Serve, store: Store) -> None:
    _, client = api_of(store)
    with serving(lambda _: Answer(200, b"<html>log in</html>")) as second:
        server = ArgoServer(Access(url=second.url, namespace="jobs"))
        with pytest.raises(EngineUnavailable, match="answered something else"):
            ArgoEngine(client, server=server).submit(manifest(), secrets={})
        server.close()


def test_delete_takes_the_secret_along_and_leaves_anothers_workflow(
    served: tuple[Api, ArgoEngine], store: Store
) -> None:
    _, engine = served
    engine.submit(manifest(), secrets=SECRETS)
    engine.delete(NAME)
    assert store.kept == {"secrets": {}, "workflows": {}, "pods": {}}
    engine.delete(NAME)
    store.put("workflows", {"metadata": {"name": NAME}, "spec": {}})
    engine.delete(NAME)
    assert NAME in store.kept["workflows"]


def test_stop_wakes_a_suspended_workflow(served: tuple[Api, ArgoEngine], store: Store) -> None:
    _, engine = served
    engine.submit(manifest(suspend=True), secrets={})
    engine.stop(NAME)
    assert store.kept["workflows"][NAME]["spec"] == {"entrypoint": "main", "shutdown": "Stop"}
    engine.terminate(NAME)
    found = engine.get(NAME)
    assert found is not None
    assert found["spec"] == {"shutdown": "Terminate"}
    engine.stop("train-zzzzzzzz-1")


def test_a_secret_that_goes_with_a_former_workflow_is_made_anew(
    served: tuple[Api, ArgoEngine], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes removes a Secret some time after its owner: perhaps between our two steps."""
    _, engine = served
    post = store._post

    def and_collect(request: Any, kind: str, name: str) -> Answer:
        answer = post(request, kind, name)
        if kind == "workflows":
            store.remove("secrets", NAME)
        return answer

    monkeypatch.setattr(store, "_post", and_collect)
    engine.submit(manifest(), secrets=SECRETS)
    secret = store.kept["secrets"][NAME]
    assert secret["metadata"]["ownerReferences"][0]["uid"] == store.kept["workflows"][NAME]["metadata"]["uid"]
    assert base64.b64decode(secret["data"]["CALLBACK_TOKEN"]) == b"s3cret"


def test_a_secret_of_a_workflow_with_our_labels_and_another_manifest_is_not_touched(
    served: tuple[Api, ArgoEngine], store: Store
) -> None:
    _, engine = served
    engine.submit(manifest(priority=1), secrets={"CALLBACK_TOKEN": "theirs"})
    before = json.dumps(store.kept["secrets"])
    with pytest.raises(EngineRefused, match="another workflow is already called"):
        engine.submit(manifest(priority=2), secrets=SECRETS)
    assert json.dumps(store.kept["secrets"]) == before


def test_a_workflow_that_took_the_name_is_neither_followed_nor_stopped(
    served: tuple[Api, ArgoEngine], store: Store
) -> None:
    _, engine = served
    store.put("workflows", {"metadata": {"name": NAME}, "spec": {}, "status": {"phase": "Succeeded"}})
    assert engine.get(NAME) is None
    engine.stop(NAME)
    engine.terminate(NAME)
    assert store.kept["workflows"][NAME]["spec"] == {}
