"""The watch: what it asks, and how it goes on after everything that can happen to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.workflows.argo.fake import Answer, Api, Behaviour, Request, refused
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine
from workflows.argo.events import Cut, Expired
from workflows.argo.objects import Meta, Workflow
from workflows.argo.seen import Seen
from workflows.argo.watch import Watcher
from workflows.engine import EngineUnavailable

Serve = Callable[[Behaviour], tuple[Api, Client]]


def workflow(name: str, version: int, *, phase: str = "Running", done: bool = False, uid: str = "u") -> dict[str, Any]:
    labels = {"tiphys/job-id": "x", "app.kubernetes.io/managed-by": "tiphys"} | (
        {"workflows.argoproj.io/completed": "true"} if done else {}
    )
    metadata = {"name": name, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, "spec": {"templates": []}, "status": {"phase": phase}}


def line(kind: str, thing: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def gone() -> bytes:
    return line("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})


def page(*items: dict[str, Any], version: str = "10", following: str = "") -> Answer:
    return Answer(body={"metadata": {"resourceVersion": version, "continue": following}, "items": list(items)})


class Script:
    """Answers lists and watches in turn; the last of each is repeated."""

    def __init__(self, lists: list[Answer], watches: list[Answer]) -> None:
        self.lists, self.watches = lists, watches

    def __call__(self, request: Request) -> Answer:
        turn = self.watches if "watch" in request.query else self.lists
        return turn.pop(0) if len(turn) > 1 else turn[0]


def _asked(api: Api) -> list[str]:
    return [r.query["resourceVersion"] if "watch" in r.query else "list" for r in api.asked]


def _phase(seen: Seen, name: str) -> str | None:
    found = seen.get(name)
    return json.loads(bytes(found.status))["phase"] if found else None


def test_pages_are_read_one_after_the_other_and_the_watch_goes_on_from_there(api_of: Serve) -> None:
    pages = [page(workflow("a", 1), following="c"), page(workflow("b", 2), version="12")]
    events = [line("MODIFIED", workflow("b", 13, phase="Succeeded", done=True)), line("ADDED", workflow("c", 14))]
    api, client = api_of(Script(pages, [Answer(pieces=events)]))
    seen = Seen()
    watcher = Watcher(client, seen)
    watcher.once(threading.Event())
    ours = "app.kubernetes.io/managed-by=tiphys,tiphys/job-id"
    first, second, watch = (request.query for request in api.asked)
    assert first["labelSelector"] == second["labelSelector"] == f"{ours},workflows.argoproj.io/completed!=true"
    assert (first["limit"], second["continue"]) == ("500", "c")
    # By the `completed` label an end would look like a deletion.
    assert watch["labelSelector"] == ours
    assert (watch["resourceVersion"], watch["allowWatchBookmarks"]) == ("12", "true")
    assert [_phase(seen, name) for name in "abc"] == ["Running", "Succeeded", "Running"]


def test_a_bookmark_is_where_the_next_watch_begins(api_of: Serve) -> None:
    bookmark = line("BOOKMARK", {"metadata": {"resourceVersion": "99"}})
    api, client = api_of(Script([page()], [Answer(pieces=[bookmark])]))
    watcher = Watcher(client, Seen())
    watcher.once(threading.Event())
    watcher.once(threading.Event())
    assert _asked(api) == ["list", "10", "99"]


@pytest.mark.parametrize("answer", [Answer(pieces=[gone()]), refused(410, "Expired")])
def test_after_410_all_is_listed_anew(api_of: Serve, answer: Answer) -> None:
    _, client = api_of(Script([page()], [answer]))
    with pytest.raises(Expired):
        Watcher(client, Seen()).once(threading.Event())


def test_a_line_that_is_cut_in_the_middle_is_not_taken(api_of: Serve) -> None:
    whole = line("ADDED", workflow("a", 11))
    _, client = api_of(Script([page()], [Answer(pieces=[whole[:20], whole[20:] + whole[:40]], cut=True)]))
    seen = Seen()
    with pytest.raises(Cut):
        Watcher(client, seen).once(threading.Event())
    assert _phase(seen, "a") == "Running"


def test_a_deletion_is_forgotten_unless_a_newer_one_has_the_name(api_of: Serve) -> None:
    events = [
        line("DELETED", workflow("a", 11)),
        line("ADDED", workflow("b", 12, uid="second")),
        line("DELETED", workflow("b", 11, uid="first")),
    ]
    _, client = api_of(Script([page(workflow("a", 1), workflow("b", 2, uid="first"))], [Answer(pieces=events)]))
    seen = Seen()
    Watcher(client, seen).once(threading.Event())
    assert seen.get("a") is None
    assert seen.get("b") is not None


@contextmanager
def following(watcher: Watcher) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=watcher.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        watcher.cut()
        thread.join(10)
        assert not thread.is_alive()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_it_goes_on_after_500_a_cut_and_410_and_misses_nothing(api_of: Serve) -> None:
    hold = threading.Event()
    lists = [refused(500, "etcd"), page(workflow("a", 1)), page(workflow("a", 30), version="31")]
    watches = [
        Answer(pieces=[line("MODIFIED", workflow("a", 11))], cut=True),
        Answer(pieces=[line("MODIFIED", workflow("a", 12)), gone()]),
        Answer(pieces=[line("MODIFIED", workflow("a", 32, phase="Failed", done=True))], hold=hold),
    ]
    api, client = api_of(Script(lists, watches))
    seen = Seen()
    with following(Watcher(client, seen)):
        _until(lambda: _phase(seen, "a") == "Failed")
        hold.set()
    assert _asked(api)[:6] == ["list", "list", "10", "11", "list", "31"]


def test_a_cluster_that_forgets_at_once_is_not_asked_without_end(api_of: Serve, ticking: Any) -> None:
    api, client = api_of(Script([page()], [refused(410, "Expired")]))
    paused: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            paused.append(timeout or 0.0)
            if len(paused) == 3:
                self.set()
            return self.is_set()

    Watcher(client, Seen(), clock=ticking).run(Stop())
    assert _asked(api) == ["list", "10"] * 3
    assert paused == sorted(paused)
    assert paused[0] > 0


def test_a_watch_that_waits_for_its_next_line_can_be_ended(api_of: Serve) -> None:
    hold = threading.Event()
    api, client = api_of(Script([page()], [Answer(pieces=[line("ADDED", workflow("a", 11))], hold=hold)]))
    seen = Seen()
    began = time.monotonic()
    with following(Watcher(client, seen)):
        _until(lambda: _phase(seen, "a") == "Running")
    assert time.monotonic() - began < 5
    assert _asked(api) == ["list", "10"]
    hold.set()


def test_without_contact_the_past_is_not_told_as_the_present(api_of: Serve, ticking: Any) -> None:
    script = Script([page()], [refused(500, "etcd is away")])
    _, client = api_of(script)
    watcher = Watcher(client, Seen(), clock=ticking)
    assert not watcher.ready
    with pytest.raises(EngineUnavailable) as caught:
        watcher.once(threading.Event())
    watcher._lost(caught.value)
    assert watcher.ready
    ticking.now += 20
    assert not watcher.ready
    script.watches = [Answer(pieces=[])]
    watcher.once(threading.Event())
    assert watcher.ready


def test_an_older_version_never_replaces_a_newer_one() -> None:
    seen = Seen()
    for version in ("9", "10", "8"):
        seen.put(Workflow(Meta(name="a", uid="u", resource_version=version)))
    found = seen.get("a")
    assert found is not None
    assert found.metadata.resource_version == "10"


def test_what_a_list_does_not_hold_any_more_is_read_anew(ticking: Any) -> None:
    seen = Seen(clock=ticking)
    done = {"workflows.argoproj.io/completed": "true"}
    for name, labels in (("live", {}), ("vanished", {}), ("ended", done), ("ended and asked for", done)):
        seen.put(Workflow(Meta(name=name, resource_version="1", labels=labels)))
    ticking.now += 10
    began = ticking.now
    ticking.now += 1
    seen.get("ended and asked for")
    seen.put(Workflow(Meta(name="made meanwhile", resource_version="5")))
    seen.listed({"live"}, began=began)
    there = [n for n in ("live", "vanished", "ended", "ended and asked for", "made meanwhile") if seen.get(n)]
    assert there == ["live", "ended and asked for", "made meanwhile"]


def test_while_it_serves_questions_do_not_go_to_the_cluster(api_of: Serve) -> None:
    hold = threading.Event()
    api, client = api_of(Script([page(workflow("a", 1))], [Answer(pieces=[], hold=hold)]))
    engine, stop = ArgoEngine(client), threading.Event()
    thread = threading.Thread(target=engine.serve, args=(stop,))
    thread.start()

    def told() -> bool:
        try:
            return engine.get("a") is not None
        except EngineUnavailable:
            return False

    _until(told)
    before = len([r for r in api.asked if "watch" not in r.query])
    for _ in range(100):
        assert engine.get("a") is not None
    assert len([r for r in api.asked if "watch" not in r.query]) == before
    stop.set()
    thread.join(10)
    hold.set()
    assert not thread.is_alive()


def test_a_watch_that_a_proxy_cuts_every_ten_seconds_is_no_trouble(
    api_of: Serve, ticking: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cuts = 0

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise AssertionError("it paused")

    stop = Stop()

    def behave(request: Request) -> Answer:
        nonlocal cuts
        if "watch" not in request.query:
            return page(workflow("a", 1))
        cuts += 1
        ticking.now += 10
        if cuts == 25:
            stop.set()
        return Answer(pieces=[line("MODIFIED", workflow("a", 10 + cuts))], cut=True)

    api, client = api_of(behave)
    seen = Seen(clock=ticking)
    Watcher(client, seen, clock=ticking).run(stop)
    assert _asked(api) == ["list", *(str(10 + number) for number in range(25))]
    assert _asked_last(seen) == "35"
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def _asked_last(seen: Seen) -> str:
    found = seen.get("a")
    assert found is not None
    return found.metadata.resource_version


def test_a_cluster_restored_from_a_backup_is_believed(ticking: Any) -> None:
    seen = Seen(clock=ticking)
    seen.put(Workflow(Meta(name="a", uid="u", resource_version="900")))
    ticking.now += 1
    seen.put(Workflow(Meta(name="a", uid="u", resource_version="20")), listed_from=ticking.now)
    assert _asked_last(seen) == "20"
    # What came while the list was read is newer than the list.
    began = ticking.now
    ticking.now += 1
    seen.put(Workflow(Meta(name="a", uid="u", resource_version="31")))
    seen.put(Workflow(Meta(name="a", uid="u", resource_version="30")), listed_from=began)
    assert _asked_last(seen) == "31"


def test_a_reading_that_comes_after_its_deletion_brings_nothing_back(ticking: Any) -> None:
    seen = Seen(clock=ticking)
    seen.deleted(Workflow(Meta(name="a", uid="u", resource_version="12")))
    seen.put(Workflow(Meta(name="a", uid="u", resource_version="11")))
    assert seen.get("a") is None
    seen.put(Workflow(Meta(name="a", uid="second", resource_version="13")))
    assert seen.get("a") is not None


def test_whoever_asks_first_waits_for_the_first_list(api_of: Serve) -> None:
    hold, go = threading.Event(), threading.Event()

    def behave(request: Request) -> Answer:
        if "watch" in request.query:
            return Answer(pieces=[], hold=hold)
        go.wait(5)
        return page(workflow("a", 1))

    _, client = api_of(behave)
    engine, stop = ArgoEngine(client), threading.Event()
    engine.watching = True
    thread = threading.Thread(target=engine.serve, args=(stop,))
    thread.start()
    threading.Timer(0.2, go.set).start()
    assert engine.get("a") is not None
    stop.set()
    hold.set()
    thread.join(10)
    assert not thread.is_alive()


def test_what_a_person_wrote_into_one_workflow_hides_no_other(api_of: Serve) -> None:
    odd = workflow("odd", 1)
    odd["spec"] = {"suspend": "yes", "shutdown": {"a": 1}}
    _, client = api_of(Script([page(odd, workflow("a", 2))], [Answer(pieces=[])]))
    seen = Seen()
    Watcher(client, seen).once(threading.Event())
    assert _phase(seen, "a") == "Running"
