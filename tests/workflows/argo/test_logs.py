"""Reading a pod's log from a byte offset, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.workflows.argo.conftest import Clock
from tests.workflows.argo.fake import Answer, Api, Behaviour, Request, refused
from workflows.argo.client import Client
from workflows.argo.logs import Logs
from workflows.engine import LOG_CHUNK_BYTES, EngineUnavailable

Serve = Callable[[Behaviour], tuple[Api, Client]]


class Pod:
    """A pod's log as a kubelet serves it: `sinceTime` to the second, inclusive."""

    def __init__(self) -> None:
        self.written: list[tuple[int, str]] = []

    def write(self, second: int, text: str) -> None:
        self.written.append((second, text))

    def __call__(self, request: Request) -> Answer:
        assert request.query["timestamps"] == "true"
        assert request.query["container"] == "main"
        since = request.query.get("sinceTime", "2026-11-21T18:00:00Z")
        lines = [(f"2026-11-21T18:00:{second:02}.25Z", text) for second, text in self.written]
        return Answer(pieces=[f"{at} {text}".encode() for at, text in lines if at[:19] >= since[:19]])


def test_what_is_new_is_asked_for_by_moment_and_handed_out_once(api_of: Serve, ticking: Clock) -> None:
    pod = Pod()
    api, client = api_of(pod)
    logs = Logs(client, clock=ticking)
    pod.write(1, "one\n")
    pod.write(2, "two\n")
    assert logs.read("p", 0, over=False) == b"one\ntwo\n"
    pod.write(2, "two again\n")
    ticking.now += 3
    assert logs.read("p", 8, over=False) == b"two again\n"
    assert api.asked[1].query["sinceTime"] == "2026-11-21T18:00:02Z"


def test_a_fresh_process_goes_on_from_the_bytes_it_has(api_of: Serve, ticking: Clock) -> None:
    pod = Pod()
    _, client = api_of(pod)
    pod.write(1, "one\n")
    pod.write(2, "two\n")
    assert Logs(client, clock=ticking).read("p", 4, over=False) == b"two\n"
    assert Logs(client, clock=ticking).read("p", 6, over=False) == b"o\n"


def test_after_a_rotation_only_what_is_new_follows(api_of: Serve, ticking: Clock) -> None:
    pod = Pod()
    _, client = api_of(pod)
    pod.write(5, "five\n")
    logs = Logs(client, clock=ticking)
    assert logs.read("p", 1000, over=False) == b""
    pod.write(6, "six\n")
    ticking.now += 3
    assert logs.read("p", 1000, over=False) == b"six\n"


def test_a_log_without_news_is_not_asked_for_at_every_look(api_of: Serve, ticking: Clock) -> None:
    pod = Pod()
    api, client = api_of(pod)
    logs = Logs(client, clock=ticking)
    assert logs.read("p", 0, over=False) == b""
    assert logs.read("p", 0, over=False) == b""
    assert len(api.asked) == 1
    # It has ended meanwhile: the last lines count, whenever the last look was.
    pod.write(3, "the end\n")
    assert logs.read("p", 0, over=True) == b"the end\n"
    assert logs.read("p", 8, over=True) == b""


def test_a_long_log_comes_in_pieces_of_whole_lines(api_of: Serve, ticking: Clock) -> None:
    pod = Pod()
    _, client = api_of(pod)
    for second in range(4):
        pod.write(second, f"{second}" * 400_000 + "\n")
    logs = Logs(client, clock=ticking)
    content = b""
    sizes = []
    while piece := logs.read("p", len(content), over=True):
        sizes.append(len(piece))
        content += piece
    assert sizes == [800_002, 800_002]
    assert content == b"".join(text.encode() for _, text in pod.written)


def test_one_endless_line_comes_in_pieces_too(api_of: Serve, ticking: Clock) -> None:
    pod = Pod()
    _, client = api_of(pod)
    pod.write(1, "x" * (2 * LOG_CHUNK_BYTES + 5))
    logs = Logs(client, clock=ticking)
    content = b""
    while piece := logs.read("p", len(content), over=True):
        assert len(piece) <= LOG_CHUNK_BYTES
        content += piece
    assert len(content) == 2 * LOG_CHUNK_BYTES + 5


def test_a_pod_that_has_not_begun_or_is_gone_has_no_log(api_of: Serve) -> None:
    for code in (400, 404):
        _, client = api_of(lambda _, code=code: refused(code, "container is waiting to start"))
        assert Logs(client).read("p", 0, over=False) == b""


def test_a_pod_on_a_node_out_of_reach_is_not_asked_for_again_at_once(api_of: Serve, ticking: Clock) -> None:
    answers = [refused(500, "Get https://10.0.0.9:10250/containerLogs: dial tcp: i/o timeout")]
    api, client = api_of(lambda _: answers[0])
    logs = Logs(client, clock=ticking)
    for _ in range(5):
        with pytest.raises(EngineUnavailable, match="i/o timeout"):
            logs.read("p", 0, over=True)
    assert len(api.asked) == 1
    ticking.now += 11
    answers[0] = Answer(pieces=[b"2026-11-21T18:00:01Z back\n"])
    assert logs.read("p", 0, over=True) == b"back\n"


def test_what_is_written_after_the_node_has_ended_is_read(api_of: Serve, ticking: Clock) -> None:
    """After a stop Argo calls a node failed at once, while its container saves for the length of its grace."""
    pod = Pod()
    _, client = api_of(pod)
    pod.write(1, "stopping\n")
    logs = Logs(client, clock=ticking)
    assert logs.read("p", 0, over=True) == b"stopping\n"
    assert logs.read("p", 9, over=True) == b""
    pod.write(2, "saved\n")
    assert logs.read("p", 9, over=True) == b"saved\n"


def test_a_thousand_running_pods_are_asked_in_turns(api_of: Serve, ticking: Clock) -> None:
    api, client = api_of(lambda _: Answer(pieces=[]))
    logs = Logs(client, clock=ticking)
    pods = [f"p{number}" for number in range(1000)]
    for _ in range(200):
        for pod in pods:
            logs.read(pod, 0, over=False, in_turn=True)
        ticking.now += 1
    assert 1800 <= len(api.asked) <= 2100
    asked = {request.path.split("/")[-2] for request in api.asked}
    assert asked == set(pods)
