"""The engine needs every right that its role gives, and no other; what is refused is said with the cure."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.cluster.faults.backend import manifest
from tests.cluster.faults.forward import Forward
from tests.cluster.found import IMAGE
from tests.cluster.namespace import PLATFORM, Namespace
from tests.workflows.argo.fake import Answer, Request, serving
from workflows.argo.access import Access
from workflows.argo.client import MERGE, Client
from workflows.argo.engine import ArgoEngine
from workflows.engine import EngineUnavailable

pytestmark = pytest.mark.cluster

RIGHTS = [(rule["resources"][0], verb) for rule in PLATFORM for verb in rule["verbs"]]
JOBS = iter(f"{letter}7654{digit}8" for digit in "23456789" for letter in "abcdefghjkmnpqrstvwxyz")


class Seen:
    """What an engine was refused on its way to the API server."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.refused: list[str] = []
        self.watched = threading.Event()

    def __call__(self, request: Request) -> Answer:
        answer = self.forward(request)
        if answer.code == 403:
            self.refused.append(f"{request.method} {request.path}")
        if "watch" in request.query:
            self.watched.set()
        return answer


@contextmanager
def seen(namespace: Namespace, access: Access) -> Iterator[tuple[ArgoEngine, Seen]]:
    """An engine with an account's token, and what it is refused."""
    forward = Forward(namespace.admin)
    watching = Seen(forward)
    with serving(watching) as api:
        engine = ArgoEngine(Client(dataclasses.replace(access, url=api.url, tls=True)))
        yield engine, watching
        engine.close()
    forward.close()


def live(namespace: Namespace, engine: ArgoEngine, watched: threading.Event) -> list[str]:
    """Does all that an engine ever does; returns what it said where it could not."""
    wanted, failed = manifest(next(JOBS)), manifest(next(JOBS))
    name, broken = (str(thing["metadata"]["name"]) for thing in (wanted, failed))
    said: list[str] = []

    def attempt(call: Callable[..., Any], *words: Any, **more: Any) -> None:
        try:
            call(*words, **more)
        except EngineUnavailable as error:
            said.append(error.message)

    attempt(engine.submit, wanted, secrets={"TOKEN": "1"})
    attempt(engine.submit, wanted, secrets={"TOKEN": "2"})
    attempt(engine.submit, failed, secrets={})
    assert engine.place.startswith(f"argo/{namespace.name}@")
    attempt(engine.names)
    watched.clear()
    stop = threading.Event()
    thread = threading.Thread(target=engine.serve, args=(stop,))
    thread.start()
    watched.wait(2)
    stop.set()
    thread.join(10)
    node = {"id": f"{name}-1", "name": f"{name}.train", "type": "Pod", "templateName": "train", "phase": "Succeeded"}
    client = namespace.client
    with suppress(EngineUnavailable):  # the platform may not have been allowed to make them
        body = {"status": {"phase": "Running", "nodes": {node["id"]: node}}}
        client.call("PATCH", client.workflows(name), what="run it", body=body, kind=MERGE)
        client.call("PATCH", client.workflows(broken), what="end it", body={"status": {"phase": "Failed"}}, kind=MERGE)
    labels = {"workflows.argoproj.io/workflow": broken}
    spec = {"containers": [{"name": "main", "image": IMAGE}], "nodeSelector": {"no": "such-node"}}
    namespace.post(client.pods(), {"metadata": {"name": f"{broken}-pod", "labels": labels}, "spec": spec})
    attempt(engine.get, broken)
    attempt(engine.logs, name, node["id"], 0)
    attempt(engine.stop, name)
    attempt(engine.delete, name)
    # Kubernetes may have removed the other with its workflow already; this one was left without any.
    left = {"name": f"{name}-left", "labels": {"app.kubernetes.io/managed-by": "tiphys"}}
    namespace.post(client.secrets(), {"metadata": left})
    attempt(engine.delete, str(left["name"]))
    client.call("DELETE", client.secrets(str(left["name"])), what="clean up", absent=str(left["name"]))
    client.call("DELETE", client.pods(f"{broken}-pod"), what="clean up", absent=f"{broken}-pod")
    return said


def test_with_its_role_nothing_is_refused(namespace: Namespace) -> None:
    with seen(namespace, namespace.account("platform", PLATFORM)) as (engine, watching):
        assert live(namespace, engine, watching.watched) == []
        assert watching.refused == []


@pytest.mark.parametrize(("resource", "verb"), RIGHTS)
def test_without_one_of_its_rights_something_is_refused_and_said(
    namespace: Namespace, resource: str, verb: str
) -> None:
    rules = [
        {**rule, "verbs": [v for v in rule["verbs"] if (rule["resources"][0], v) != (resource, verb)]}
        for rule in PLATFORM
    ]
    account = f"no-{verb}-{resource.replace('/', '-')}"
    access = namespace.account(account, [rule for rule in rules if rule["verbs"]])
    with seen(namespace, access) as (engine, watching):
        said = live(namespace, engine, watching.watched)
    assert watching.refused
    # A log that cannot be read while its step runs costs nobody the job; a watch is tried again; without the uid
    # only another cluster would not be noticed.
    if verb != "watch" and resource != "namespaces":
        assert any(f'cannot {verb} resource "{resource}"' in text and "the role it needs" in text for text in said)


def test_rights_that_come_a_moment_later_are_used(namespace: Namespace) -> None:
    """A role that is bound after the platform has started: nothing has to be started anew."""
    access = namespace.account("late", [])
    engine = ArgoEngine(Client(access))
    with pytest.raises(EngineUnavailable, match="the role it needs"):
        engine.names()
    namespace.bind("late", PLATFORM)
    engine.names()
    engine.close()
