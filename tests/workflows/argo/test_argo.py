"""The engine on a real controller: a run, its log, its Secret, and what Argo leaves running after a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.found import IMAGE, SHELL
from tests.cluster.namespace import PLATFORM, Namespace, namespace_in
from workflows.argo import Access, ArgoServer
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine
from workflows.engine import EngineUnavailable

pytestmark = pytest.mark.argo

SECONDS = 90.0

JOBS = iter(f"{letter}9876543" for letter in "abcdefghjkmnpqrstvwxyz")


@pytest.fixture(scope="module")
def namespace(cluster: Access, argo: str) -> Iterator[Namespace]:
    with namespace_in(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def engine(namespace: Namespace, argo: str) -> Iterator[ArgoEngine]:
    access = namespace.account("platform", PLATFORM)
    server = ArgoServer(Access(url=argo, namespace=namespace.name, token=access.token))
    made, stop = ArgoEngine(Client(access), server=server), threading.Event()
    thread = threading.Thread(target=made.serve, args=(stop,))
    thread.start()
    yield made
    stop.set()
    thread.join(10)
    made.close()
    assert not thread.is_alive()


def manifest(script: str, *, grace: int = 30) -> dict[str, Any]:
    job = next(JOBS)
    name = f"train-{job}-1"
    token = {"name": "CALLBACK_TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": "CALLBACK_TOKEN"}}}
    train = {
        "name": "train",
        "container": {"image": IMAGE, "command": [*SHELL, script], "env": [token]},
        "podSpecPatch": f'{{"terminationGracePeriodSeconds":{grace}}}',
        "retryStrategy": {"limit": 1, "retryPolicy": "Always", "expression": "lastRetry.exitCode == '75'"},
    }
    main = {"name": "main", "dag": {"tasks": [{"name": "train", "template": "train"}]}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "labels": {"tiphys/job-id": job, "tiphys/attempt": "1"}},
        "spec": {"entrypoint": "main", "serviceAccountName": "workflow", "templates": [main, train]},
    }


def start(engine: ArgoEngine, script: str, **more: int) -> str:
    wanted = manifest(script, **more)
    _until(lambda: _submitted(engine, wanted))
    return str(wanted["metadata"]["name"])


def _submitted(engine: ArgoEngine, wanted: dict[str, Any]) -> bool:
    try:
        engine.submit(wanted, secrets={"CALLBACK_TOKEN": "s3cret"})
        return engine.get(str(wanted["metadata"]["name"])) is not None
    except EngineUnavailable:
        return False


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.2)


def status(engine: ArgoEngine, name: str) -> dict[str, Any]:
    found = engine.get(name)
    assert found is not None
    return dict(found["status"])


def tries(engine: ArgoEngine, name: str) -> list[dict[str, Any]]:
    nodes = status(engine, name).get("nodes") or {}
    return sorted((node for node in nodes.values() if node["type"] == "Pod"), key=lambda node: str(node["name"]))


def ended(engine: ArgoEngine, name: str) -> bool:
    return status(engine, name).get("phase") in ("Succeeded", "Failed", "Error")


def says(engine: ArgoEngine, name: str, word: bytes) -> bool:
    """Whether the running try has written this."""
    return any(word in engine.logs(name, node["id"], 0) for node in tries(engine, name) if node["phase"] == "Running")


def test_a_run_succeeds_and_its_log_comes_piece_by_piece(engine: ArgoEngine) -> None:
    script = 'for n in 1 2 3 4; do echo "epoch $n"; sleep 1; done; test "$CALLBACK_TOKEN" = s3cret && printf done'
    name = start(engine, script)
    log, pieces = b"", 0

    def read() -> None:
        nonlocal log, pieces
        for node in tries(engine, name):
            while node["phase"] != "Pending" and (piece := engine.logs(name, node["id"], len(log))):
                log += piece
                pieces += 1

    def over() -> bool:
        at_end = ended(engine, name)
        read()
        return at_end

    _until(over)
    assert status(engine, name)["phase"] == "Succeeded"
    assert log == b"epoch 1\nepoch 2\nepoch 3\nepoch 4\ndone"
    assert pieces > 1
    # A fresh engine finds the place by the bytes it has; the Retry node's log is its last try's.
    retry = next(node for node in status(engine, name)["nodes"].values() if node["type"] == "Retry")
    assert engine.logs(name, retry["id"], 8) == log[8:]
    engine.delete(name)
    _until(lambda: engine.get(name) is None)


def test_a_trainer_that_saves_after_the_stop_is_waited_for_and_its_code_is_known(engine: ArgoEngine) -> None:
    name = start(engine, "trap 'sleep 6; echo saved; exit 143' TERM; echo up; while :; do sleep 0.2; done")
    _until(lambda: says(engine, name, b"up"))
    engine.stop(name)
    _until(lambda: ended(engine, name))
    (node,) = tries(engine, name)
    assert node["outputs"]["exitCode"] == "143"
    assert b"saved" in engine.logs(name, node["id"], 0)


def test_a_trainer_that_does_not_listen_is_ended_after_its_grace(namespace: Namespace, engine: ArgoEngine) -> None:
    name = start(engine, "trap '' TERM; echo up; while :; do sleep 0.2; done", grace=5)
    _until(lambda: says(engine, name, b"up"))
    engine.stop(name)
    _until(lambda: ended(engine, name))
    query = {"labelSelector": f"workflows.argoproj.io/workflow={name}"}
    pods = namespace.client.call("GET", namespace.client.pods(), what="list", query=query).json()["items"]
    states = [c["state"] for pod in pods for c in pod["status"]["containerStatuses"] if c["name"] == "main"]
    assert not [state for state in states if "running" in state]


def test_a_temporary_failure_is_tried_again_below_the_same_node(engine: ArgoEngine) -> None:
    name = start(engine, "exit 75")
    _until(lambda: ended(engine, name))
    assert [node["outputs"]["exitCode"] for node in tries(engine, name)] == ["75", "75"]
