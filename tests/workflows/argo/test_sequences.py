"""Any sequence of faults: no workflow is lost, none is made twice, and what was seen ends as what is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.workflows.argo.fake import Answer, Api, Request, refused, serving
from tests.workflows.argo.store import Store
from tests.workflows.argo.test_submit import NAME, SECRETS, manifest
from tests.workflows.argo.test_watch import gone, line, workflow
from workflows.argo.access import Access
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine
from workflows.argo.events import Cut, Expired
from workflows.argo.seen import Seen
from workflows.argo.watch import Watcher
from workflows.engine import EngineUnavailable

SHARED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FAULTS = st.sampled_from(["fine", "busy", "broken", "lost"])


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Api, Client]]:
    with serving(lambda _: refused(500, "not yet")) as api:
        client = Client(Access(url=api.url, namespace="jobs"))
        yield api, client
        client.close()


@SHARED
@given(st.lists(FAULTS, max_size=12))
def test_a_submit_tried_until_it_works_makes_one_workflow_with_its_secret(
    served: tuple[Api, Client], faults: list[str]
) -> None:
    api, client = served
    store, left = Store(), list(faults)
    made: list[str] = []

    def behave(request: Request) -> Answer:
        fault = left.pop(0) if left else "fine"
        if fault == "busy":
            return refused(429, "too many requests")
        if fault == "broken":
            return refused(500, "etcdserver: leader changed")
        answer = store(request)
        if request.deed == "POST workflows" and answer.code == 201:
            made.append(request.body["metadata"]["name"])
        # Done, but the answer never arrives.
        return Answer(pieces=[b"{"], cut=True) if fault == "lost" else answer

    api.behave = behave
    engine = ArgoEngine(client)
    for _ in range(len(faults) + 1):
        before, held = len(made), set(store.kept["secrets"])
        try:
            engine.submit(manifest(), secrets=SECRETS)
            break
        except EngineUnavailable as error:
            assert not error.untouched or (len(made) == before and set(store.kept["secrets"]) == held)
            continue
    else:
        raise AssertionError("it never worked")
    assert made == [NAME]
    owner = store.kept["secrets"][NAME]["metadata"]["ownerReferences"][0]
    assert owner["uid"] == store.kept["workflows"][NAME]["metadata"]["uid"]


class History:
    """What happens in a cluster: workflows made, changed, ended and deleted, with the events of it all."""

    def __init__(self) -> None:
        self.version = 10
        self.there: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[int, bytes]] = []

    def happen(self, name: str, deed: str) -> None:
        self.version += 1
        known = self.there.get(name)
        if deed == "delete":
            if known is not None:
                del self.there[name]
                self.events.append(
                    (self.version, line("DELETED", workflow(name, self.version, uid=known["metadata"]["uid"])))
                )
            return
        if known is not None and known["status"]["phase"] == "Succeeded":
            return
        uid = known["metadata"]["uid"] if known else f"u{self.version}"
        phase = {"end": "Succeeded", "change": "Running"}[deed]
        new = workflow(name, self.version, phase=phase, done=deed == "end", uid=uid)
        self.there[name] = new
        self.events.append((self.version, line("MODIFIED" if known else "ADDED", new)))

    def listed(self) -> list[dict[str, Any]]:
        return [w for w in self.there.values() if w["status"]["phase"] != "Succeeded"]


MOMENTS = st.tuples(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["change", "end", "delete"])), max_size=5),
    st.sampled_from(["whole", "cut", "torn", "gone", "twice", "broken"]),
)


@SHARED
@given(st.lists(MOMENTS, min_size=1, max_size=8))
def test_whatever_breaks_the_watch_what_was_seen_becomes_what_is(
    served: tuple[Api, Client], moments: list[tuple[list[tuple[str, str]], str]]
) -> None:
    api, client = served
    history, seen = History(), Seen()
    fault = "whole"

    def behave(request: Request) -> Answer:
        if fault == "broken":
            return refused(503, "no leader")
        if "watch" not in request.query:
            return Answer(body={"metadata": {"resourceVersion": str(history.version)}, "items": history.listed()})
        since = int(request.query["resourceVersion"])
        pieces = [event for version, event in history.events if version > since]
        if fault == "twice":
            pieces = [piece for piece in pieces for _ in range(2)]
        if fault == "gone":
            pieces = [*pieces[:1], gone()]
        if fault == "torn" and pieces:
            pieces[-1] = pieces[-1][: len(pieces[-1]) // 2]
        return Answer(pieces=pieces, cut=fault in ("cut", "torn"))

    api.behave = behave
    watcher = Watcher(client, seen)
    for deeds, breaks in [*moments, ([], "whole"), ([], "whole")]:
        for name, deed in deeds:
            history.happen(name, deed)
        fault = breaks
        with suppress(Cut, Expired, EngineUnavailable):
            watcher.once(threading.Event())
    for name in "abc":
        found, there = seen.get(name), history.there.get(name)
        if found is not None:
            assert there is not None
            assert found.metadata.resource_version == there["metadata"]["resourceVersion"]
        else:
            # Ended while nobody watched, or gone: whoever asks reads the cluster.
            assert there is None or there["status"]["phase"] == "Succeeded"
