"""How the client behaves with servers that are busy, slow, somewhere else, or ask for a token that is none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.workflows.argo.conftest import Clock
from tests.workflows.argo.fake import Answer, Api, Behaviour, Request, refused
from workflows.argo.access import Access, AccessError, FileToken
from workflows.argo.client import Client
from workflows.argo.engine import ArgoEngine
from workflows.engine import EngineRefused, EngineUnavailable

Serve = Callable[[Behaviour], tuple[Api, Client]]
NAME = "train-7k3mqz2x-1"
MANIFEST = {"metadata": {"name": NAME, "labels": {"tiphys/job-id": "7k3mqz2x", "tiphys/attempt": "1"}}, "spec": {}}
EMPTY = Answer(body={"metadata": {"resourceVersion": "1"}, "items": []})


@pytest.mark.parametrize(
    ("asks", "left"),
    [
        ("7", 7),
        ("86400", 60),
        ("nonsense", 0),
        ("-3", 0),
        (format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True), 60),
        (format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True), 0),
    ],
    ids=["seconds", "a day in seconds", "nonsense", "less than nothing", "a date to come", "a date gone by"],
)
def test_a_busy_server_is_left_alone_as_long_as_it_asks_within_reason(
    api_of: Serve, ticking: Clock, asks: str, left: int
) -> None:
    answers = [Answer(429, b"", headers={"Retry-After": asks}), EMPTY, EMPTY]
    api, _ = api_of(lambda _: answers.pop(0))
    client = Client(Access(url=api.url, namespace="jobs"), clock=ticking)
    engine = ArgoEngine(client, clock=ticking)
    with pytest.raises(EngineUnavailable, match="is busy"):
        engine.names()
    if left:
        ticking.now += left - 0.5
        with pytest.raises(EngineUnavailable, match="asked to be left alone"):
            engine.names()
        assert len(api.asked) == 1
        ticking.now += 1
    assert engine.names() == []
    client.close()


def test_an_answer_that_comes_byte_by_byte_is_given_up(api_of: Serve) -> None:
    def trickle() -> Iterator[bytes]:
        while True:
            yield b" "

    api, _ = api_of(lambda _: Answer(pieces=trickle()))
    client = Client(Access(url=api.url, namespace="jobs"), whole=0.2)
    with pytest.raises(EngineUnavailable, match="did not list workflows in time"):
        ArgoEngine(client).names()
    client.close()


@pytest.mark.parametrize("token", ["s3cret\nX-Evil: 1", "s3crét", "  ", "two words"])
def test_a_token_that_no_header_can_carry_is_said_without_it(api_of: Serve, token: str) -> None:
    api, _ = api_of(lambda _: EMPTY)
    client = Client(Access(url=api.url, namespace="jobs", token=lambda: token))
    with pytest.raises(EngineUnavailable, match="the token for the cluster is empty or holds characters") as caught:
        ArgoEngine(client).names()
    assert "s3cr" not in str(caught.value)
    assert api.asked == []
    client.close()


def test_a_token_with_an_end_of_line_is_used_without_it(api_of: Serve) -> None:
    api, _ = api_of(lambda _: EMPTY)
    client = Client(Access(url=api.url, namespace="jobs", token=lambda: "abc\n"))
    assert ArgoEngine(client).names() == []
    assert api.asked[0].headers["Authorization"] == "Bearer abc"
    client.close()


def test_an_empty_token_file_is_read_anew_at_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("")
    token = FileToken(path)
    with pytest.raises(AccessError, match="holds no token"):
        token()
    path.write_text("abc")
    assert token() == "abc"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(302, b"", headers={"Location": "https://sso/login?next=x"}), "leads to https://sso/login instead"),
        (Answer(400, b"Client sent an HTTP request to an HTTPS server.\n"), "check the address"),
        (Answer(405, b"<html>Method Not Allowed</html>"), "check the address"),
        (refused(409, "the object has been modified"), "is tried again"),
        (refused(403, 'secrets is forbidden: User "system:anonymous" cannot create'), "was shown no token"),
        (Answer(500, b"\xff\xfe"), "is busy or broken"),
        (Answer(200, b'{"status": "ok"}'), "answered something else than was asked for"),
        (Answer(201, b""), "answered something else than was asked for"),
    ],
)
def test_what_the_operator_has_to_mend_ends_no_job(api_of: Serve, answer: Answer, says: str) -> None:
    _, client = api_of(lambda _: answer)
    with pytest.raises(EngineUnavailable, match=says):
        ArgoEngine(client).submit(MANIFEST, secrets={"TOKEN": "t"})


@pytest.mark.parametrize(
    "words",
    [
        'admission webhook "validate.gatekeeper.sh" denied the request: [no-latest] use a digest',
        "ValidatingAdmissionPolicy 'images' with binding 'all' denied request: failed expression",
    ],
)
def test_a_policy_of_the_cluster_is_an_answer(api_of: Serve, words: str) -> None:
    _, client = api_of(lambda _: refused(403, words, "Forbidden"))
    with pytest.raises(EngineRefused, match="a policy of the cluster forbids it"):
        ArgoEngine(client).submit(MANIFEST, secrets={})


def test_only_a_submit_is_ever_refused_for_good(api_of: Serve) -> None:
    _, client = api_of(lambda _: refused(422, "metadata.uid: field is immutable", "Invalid"))
    engine = ArgoEngine(client)
    for call in (engine.names, lambda: engine.get(NAME), lambda: engine.stop(NAME), lambda: engine.delete(NAME)):
        with pytest.raises(EngineUnavailable, match="immutable"):
            call()


def test_a_stream_renews_a_token_that_was_refused(api_of: Serve) -> None:
    tokens = ["old"]

    def behave(request: Request) -> Answer:
        fresh = request.headers["Authorization"] == "Bearer new"
        return Answer(pieces=[b"line"]) if fresh else refused(401, "Unauthorized")

    api, _ = api_of(behave)
    access = Access(url=api.url, namespace="jobs", token=lambda: tokens[-1], renew=lambda: tokens.append("new"))
    client = Client(access)
    with client.stream("/log", what="read", query={}, read_timeout=5) as answer:
        assert answer.read() == b"line"
    assert len(api.asked) == 2
    client.close()


def test_a_missing_log_costs_no_connection(api_of: Serve, caplog: pytest.LogCaptureFixture) -> None:
    _, client = api_of(lambda _: refused(404, 'pods "p" not found'))
    with caplog.at_level(logging.DEBUG, logger="httpcore.connection"):
        for _ in range(3):
            with client.stream("/log", what="read", query={}, read_timeout=5, allow=(404,)) as answer:
                answer.read()
    assert sum("connect_tcp.started" in record.message for record in caplog.records) == 1
