"""LIST and WATCH on a real API server: pages, bookmarks, and a place that it has forgotten."""

from __future__ import annotations

import base64
import json
import threading

import pytest

from tests.cluster.faults.backend import manifest
from tests.cluster.namespace import Namespace
from workflows.argo import pages
from workflows.argo.client import Client
from workflows.argo.events import Expired
from workflows.argo.identity import identify, noted
from workflows.argo.seen import Seen
from workflows.argo.watch import Watcher
from workflows.engine import EngineUnavailable

pytestmark = pytest.mark.cluster

TOO_OLD = "1"


@pytest.fixture(scope="module")
def names(namespace: Namespace) -> list[str]:
    """Five workflows of ours, the last of them ended, and one of somebody else's."""
    made = []
    for number in range(2, 7):
        wanted = manifest(f"{number}2345678")
        body = noted(wanted, identify(wanted), namespace=namespace.name)
        if number == 6:
            body["metadata"]["labels"]["workflows.argoproj.io/completed"] = "true"
        namespace.post(namespace.client.workflows(), body)
        made.append(str(body["metadata"]["name"]))
    namespace.post(namespace.client.workflows(), manifest("z2345678"))
    return made


def test_live_ones_come_page_by_page(namespace: Namespace, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LIMIT", 2)
    found = [[w.metadata.name for w in page.items or ()] for page in pages.live(namespace.client)]
    # Pages are cut before the labels are looked at, so some hold less.
    assert sorted(name for page in found for name in page) == names[:4]
    assert len(found) >= 2
    assert sorted(pages.names(namespace.client)) == names


def test_a_page_that_is_asked_for_too_late_is_said(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    late = {"v": "meta.k8s.io", "rv": int(TOO_OLD), "start": "train\x00"}
    token = base64.urlsafe_b64encode(json.dumps({**late, "v": "meta.k8s.io/v1"}).encode()).decode().rstrip("=")
    query = {"limit": "2", "continue": token}
    answer = namespace.client.call("GET", namespace.client.workflows(), what="list", query=query, allow=(410,))
    if answer.status_code == 200:
        pytest.skip("this cluster's etcd still remembers its beginning: it is compacted every five minutes")
    assert answer.status_code == pages.GONE


def test_a_place_that_is_forgotten_is_told_from_one_that_is_known(namespace: Namespace, names: list[str]) -> None:
    seen = Seen()
    watcher = Watcher(namespace.client, seen)
    watcher.list()
    watcher._version = TOO_OLD
    with pytest.raises(Expired):
        watcher.once(threading.Event())
    assert watcher._version == ""
    assert all(seen.get(name) for name in names[:4])


def test_a_quiet_watch_goes_on_from_a_bookmark(namespace: Namespace, names: list[str]) -> None:
    # Somebody else's changes move the cluster on; without bookmarks a quiet watch would begin ever further behind.
    watcher = Watcher(namespace.client, Seen(), relist_seconds=6)
    watcher.list()
    before = watcher._version
    namespace.post(namespace.client.secrets(), {"metadata": {"name": "of-somebody-else"}})
    name = "train-z2345678-1"
    body = {"metadata": {"annotations": {"touched": "1"}}}
    kind = "application/merge-patch+json"
    namespace.client.call("PATCH", namespace.client.workflows(name), what="touch it", body=body, kind=kind)
    # The server sends one shortly before it ends a watch, or a little too late for it.
    for _ in range(5):
        watcher.once(threading.Event())
        if watcher._version != before:
            break
    assert int(watcher._version) > int(before)


def test_an_account_without_the_right_to_watch_is_told_so(namespace: Namespace) -> None:
    rights = [{"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["list"]}]
    client = Client(namespace.account("lister", rights))
    with pytest.raises(EngineUnavailable, match=r"does not allow to watch workflows .*the role it needs"):
        Watcher(client, Seen()).once(threading.Event())
    client.close()
