"""Which namespace of which cluster: read once a minute, and never guessed."""

from __future__ import annotations

from collections.abc import Callable

from tests.workflows.argo.conftest import Clock
from tests.workflows.argo.fake import Answer, Api, Behaviour, refused
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine
from workflows.argo.place import AGAIN_SECONDS, SOON_SECONDS, Place

Serve = Callable[[Behaviour], tuple[Api, Client]]


def test_the_uid_of_the_namespace_tells_its_cluster(api_of: Serve, ticking: Clock) -> None:
    api, client = api_of(lambda _: Answer(body={"metadata": {"name": "jobs", "uid": "u-1"}}))
    engine = ArgoEngine(client, clock=ticking)
    assert [engine.place, engine.place] == ["argo/jobs@u-1"] * 2
    assert [request.path for request in api.asked] == ["/api/v1/namespaces/jobs"]


def test_a_namespace_that_was_made_anew_is_another(api_of: Serve, ticking: Clock) -> None:
    api, client = api_of(lambda _: Answer(body={"metadata": {"uid": f"u-{len(api.asked)}"}}))
    place = Place(client, clock=ticking)
    first = str(place)
    ticking.now += AGAIN_SECONDS
    assert str(place) != first


def test_where_it_may_not_be_read_the_cluster_stays_unknown(api_of: Serve, ticking: Clock) -> None:
    _, client = api_of(lambda _: refused(403, "namespaces is forbidden"))
    assert str(Place(client, clock=ticking)) == "argo/jobs@?"


def test_a_cluster_that_does_not_answer_is_asked_again_soon_and_not_forgotten(api_of: Serve, ticking: Clock) -> None:
    answers = iter([refused(500, "etcd"), Answer(body={"metadata": {"uid": "u-1"}}), refused(500, "etcd")])
    api, client = api_of(lambda _: next(answers))
    place = Place(client, clock=ticking)
    assert str(place) == str(place) == "argo/jobs"
    assert len(api.asked) == 1
    ticking.now += SOON_SECONDS
    assert str(place) == "argo/jobs@u-1"
    ticking.now += AGAIN_SECONDS
    assert str(place) == "argo/jobs@u-1"
    assert len(api.asked) == 3
