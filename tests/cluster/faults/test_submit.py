"""Whatever goes wrong while a job is handed over: it stays pending with the cause said once, and is made once."""

from __future__ import annotations

import dataclasses
import threading

import httpx
import pytest

from tests.cluster.faults.backend import manifest
from tests.cluster.faults.faulty import FAULTS, SAID
from tests.cluster.faults.ordeal import Ordeal, through_argo_server
from tests.workflows.argo.fake import Answer

BROKEN = sorted(set(FAULTS) - {"fine"})


def _pending_with(ordeal: Ordeal, name: str, words: str) -> None:
    job = ordeal.job(name)
    assert job.state == "pending", job.message
    told = [event.message for event in ordeal.events(name) if event.event_type == "engine_unavailable"]
    assert len(told) == 1
    assert words in told[0]


def _made_once(ordeal: Ordeal, name: str) -> None:
    assert ordeal.job(name).state == "queued", ordeal.job(name).message
    assert ordeal.door.made.count(name) == 1
    made = ordeal.backend.workflow(name)
    assert made is not None
    secret = ordeal.backend.admin.call("GET", ordeal.backend.admin.secrets(name), what="look").json()
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [made["metadata"]["uid"]]


@pytest.mark.parametrize("fault", BROKEN)
def test_a_cluster_that_fails_for_a_while(ordeal: Ordeal, fault: str) -> None:
    name = ordeal.create()
    ordeal.door.always = fault
    ordeal.tick(3)
    _pending_with(ordeal, name, SAID[fault])
    ordeal.door.mend()
    ordeal.tick()
    _made_once(ordeal, name)


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("call", [0, 1, 2])
def test_one_call_that_fails(ordeal: Ordeal, fault: str, call: int) -> None:
    ordeal.tick(seconds=1)  # which cluster this is has been asked
    name = ordeal.create()
    # A token that is refused is read anew and shown once more.
    ordeal.door.coming = ["fine"] * call + [fault] * (2 if fault == "expired token" else 1)
    ordeal.tick()
    _pending_with(ordeal, name, SAID[fault])
    ordeal.restart()
    ordeal.tick()
    _made_once(ordeal, name)


@pytest.mark.parametrize("fault", BROKEN)
def test_an_argo_server_that_fails_for_a_while(ordeal: Ordeal, fault: str) -> None:
    with through_argo_server(ordeal) as server:
        name = ordeal.create()
        server.always = fault
        ordeal.tick(2)
        said = {"no Argo": "knows no Argo workflows", **{f: SAID[f] for f in ("lost", "torn")}}.get(fault, SAID[fault])
        # What was done although nobody said so is found at the next try.
        if fault in ("lost", "torn"):
            assert ordeal.door.made == [name]
        _pending_with(ordeal, name, said)
        assert "the Argo Server at" in ordeal.events(name)[-1].message
        server.mend()
        ordeal.tick()
        _made_once(ordeal, name)


def test_a_server_that_asks_for_a_pause_gets_it(ordeal: Ordeal) -> None:
    name = ordeal.create()
    ordeal.door.coming = ["busy"]
    ordeal.tick(seconds=0.9)
    asked = len(ordeal.api.asked)
    ordeal.tick(seconds=0)  # the reconciler's own pause is 1 s, too
    assert len(ordeal.api.asked) == asked
    ordeal.tick(seconds=0.2)
    ordeal.tick()
    _made_once(ordeal, name)


def test_a_crash_between_the_workflow_and_its_record(ordeal: Ordeal) -> None:
    ordeal.tick(seconds=1)
    name = ordeal.create()
    ordeal.door.coming = ["fine", "lost"]
    ordeal.tick()
    assert ordeal.door.made == [name]
    assert ordeal.attempt(name).submitted_at is None
    ordeal.restart()
    ordeal.tick()
    _made_once(ordeal, name)


def test_a_name_that_is_anothers(ordeal: Ordeal) -> None:
    name = ordeal.create()
    other = manifest(name.split("-")[1])
    other["metadata"]["labels"].pop("tiphys/attempt")
    ordeal.backend.create(other)
    ordeal.tick(2)
    job = ordeal.job(name)
    assert (job.state, job.reason) == ("failed", "refused")
    assert f"another workflow is already called {name} in namespace" in job.message
    there = ordeal.backend.workflow(name)
    assert there is not None
    assert "shutdown" not in there["spec"]
    assert name not in ordeal.backend.secrets()
    assert ordeal.attempt(name).closed


def test_a_namespace_that_is_not_there(ordeal: Ordeal) -> None:
    name = ordeal.create()
    right = ordeal.backend.access
    ordeal.backend.access = dataclasses.replace(right, namespace="no-such-place")
    ordeal.restart()
    ordeal.tick(2)
    _pending_with(ordeal, name, "create the namespace, or set TIPHYS_ARGO_NAMESPACE")
    ordeal.backend.access = right
    ordeal.restart()
    ordeal.tick()
    _made_once(ordeal, name)


def test_a_cluster_that_takes_its_time(ordeal: Ordeal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.argo.client.TIMEOUT", httpx.Timeout(0.2))
    ordeal.restart()
    name = ordeal.create()
    over = threading.Event()
    slow = Answer(pieces=[b"{"], hold=over)
    monkeypatch.setitem(FAULTS, "slow", lambda *_: slow)
    ordeal.door.always = "slow"
    ordeal.tick(2)
    over.set()
    _pending_with(ordeal, name, "in time: it is overloaded or cut off")
    monkeypatch.undo()
    ordeal.restart()
    ordeal.door.mend()
    ordeal.tick()
    _made_once(ordeal, name)
