"""The live stream: everything is told once, in order, from any point on, until the job has ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.db import Database
from api.jobs import stream
from api.jobs.status import Reason, State, move
from api.jobs.stream import Cursor, follow
from api.models import Attempt, Job
from api.platform import Platform
from tests.api.factories import NOW, USER_TOKEN, ArrivalWake, create_event, create_heartbeat, create_job

JOBS = "/api/v1/training/jobs"
LIMIT = 20.0
"""Seconds after which a test that waits has failed."""


@dataclass
class Told:
    """One server-sent event."""

    id: str
    event: str
    data: dict[str, Any]


def parse(text: str) -> list[Told]:
    messages = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            messages.append(Told(fields["id"], fields["event"], json.loads(fields["data"])))
    return messages


def end(database: Database, job_id: str) -> None:
    with database.write() as session:
        job = session.get_one(Job, job_id)
        move(session, job, State.SUCCEEDED, reason=Reason.COMPLETED, message="done", at=NOW + timedelta(hours=1))
        session.get_one(Attempt, (job_id, job.attempt)).closed = True


@pytest.fixture
def ended(database: Database) -> str:
    """A job that has ended, with events and heartbeats between each other."""
    with database.write() as session:
        job = create_job(session, state="running")
        for minute in range(4):
            at = NOW + timedelta(minutes=minute)
            create_event(session, job, message=f"e{minute}", created_at=at)
            create_heartbeat(session, job, epoch=minute, received_at=at + timedelta(seconds=1))
    end(database, job.id)
    return job.id


def names(messages: list[Told]) -> list[str]:
    return [
        m.data.get("message", "") if m.event == "event" else f"{m.event}{m.data.get('epoch', '')}" for m in messages
    ]


WHOLE = ["e0", "heartbeat0", "e1", "heartbeat1", "e2", "heartbeat2", "e3", "heartbeat3", "state", "end"]


def test_an_ended_job_is_told_whole_and_in_order(client: TestClient, ended: str) -> None:
    answer = client.get(f"{JOBS}/{ended}/stream")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    messages = parse(answer.text)
    assert names(messages) == WHOLE
    state, last = messages[-2:]
    assert (state.data["event_type"], state.data["kind"]) == ("succeeded", "state")
    assert (state.data["job"]["id"], state.data["job"]["state"]) == (ended, "succeeded")
    assert last.data == {"state": "succeeded", "reason": "completed"}
    assert last.id == state.id
    beat = messages[1].data
    assert (beat["metrics"], beat["total_epochs"], beat["step"]) == ({"train/loss": 0.5}, 10, None)


def test_it_can_be_resumed_behind_every_message(client: TestClient, ended: str) -> None:
    messages = parse(client.get(f"{JOBS}/{ended}/stream").text)
    for place, message in enumerate(messages[:-1]):
        rest = client.get(f"{JOBS}/{ended}/stream", headers={"Last-Event-ID": message.id})
        assert names(parse(rest.text)) == WHOLE[place + 1 :]


def test_small_looks_tell_the_same(client: TestClient, ended: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for batch in (1, 2, 3, 4):
        monkeypatch.setattr(stream, "BATCH", batch)
        assert names(parse(client.get(f"{JOBS}/{ended}/stream").text)) == WHOLE


def test_it_can_begin_with_what_comes_next(client: TestClient, ended: str) -> None:
    assert names(parse(client.get(f"{JOBS}/{ended}/stream?from=now").text)) == ["end"]


def test_moments_out_of_order_lose_nothing(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is set back must not make a stream skip what its cursor has not counted."""
    monkeypatch.setattr(stream, "BATCH", 2)
    with database.write() as session:
        job = create_job(session, state="running")
        for number in range(6):
            create_event(session, job, message=f"e{number}", created_at=NOW - timedelta(minutes=number))
            create_heartbeat(session, job, epoch=number, received_at=NOW + timedelta(minutes=number % 3))
    end(database, job.id)
    messages = parse(client.get(f"{JOBS}/{job.id}/stream").text)
    assert [m.data["message"] for m in messages if m.event == "event"] == [f"e{n}" for n in range(6)]
    assert [m.data["epoch"] for m in messages if m.event == "heartbeat"] == list(range(6))


@pytest.mark.parametrize("given", ["x", "1", "1-", "-1-2", "1-2-3", "9999999999999999999-1"])
def test_an_id_of_something_else_is_refused(client: TestClient, ended: str, given: str) -> None:
    answer = client.get(f"{JOBS}/{ended}/stream", headers={"Last-Event-ID": given})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def next_messages(pieces: AsyncIterator[bytes]) -> list[Told]:
    """Returns the next messages, whatever else comes before them."""
    async with asyncio.timeout(LIMIT):
        async for piece in pieces:
            if found := parse(piece.decode()):
                return found
    return []


def live(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), LIMIT))


def test_news_are_told_as_they_come(
    watched: Platform, wake: ArrivalWake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody looks by himself in this test: whatever is told, the bell brought.
    monkeypatch.setattr(stream, "POLL_SECONDS", LIMIT)
    with database.write() as session:
        job = create_job(session, state="running")

    def tell(message: str) -> None:
        with database.write() as session:
            create_event(session, session.get_one(Job, job.id), message=message)
        wake.notify(job.id)

    async def test() -> None:
        pieces = follow(watched, job.id, Cursor())
        for message in ("one", "two"):
            waiting = asyncio.create_task(next_messages(pieces))
            await wake.arrived.get()
            await asyncio.to_thread(tell, message)
            assert names(await waiting) == [message]
        waiting = asyncio.create_task(next_messages(pieces))
        await wake.arrived.get()
        await asyncio.to_thread(end, database, job.id)
        wake.notify(job.id)
        assert names(await waiting) == ["state"]
        assert names(await next_messages(pieces)) == ["end"]
        assert await next_messages(pieces) == []  # and it is over

    live(test)
    assert wake.waiting == 0


def test_news_of_another_process_are_found_by_looking(
    watched: Platform, wake: ArrivalWake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", 0.01)
    with database.write() as session:
        job = create_job(session, state="running")

    async def test() -> None:
        pieces = follow(watched, job.id, Cursor())
        waiting = asyncio.create_task(next_messages(pieces))
        await wake.arrived.get()
        await asyncio.to_thread(end, database, job.id)  # without ringing
        assert names(await waiting) == ["state"]
        await pieces.aclose()  # type: ignore[attr-defined]  # an async generator, typed as what it is used as

    live(test)


def test_a_silent_line_says_that_it_stands(
    watched: Platform, wake: ArrivalWake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(stream, "QUIET_SECONDS", 0.0)
    with database.write() as session:
        job = create_job(session, state="running")

    async def test() -> None:
        pieces = follow(watched, job.id, Cursor())
        assert await anext(pieces) == b"retry: 2000\n\n"
        assert (await anext(pieces)).startswith(b":")
        await pieces.aclose()  # type: ignore[attr-defined]  # see above

    live(test)


def test_a_job_that_has_ended_but_is_not_put_away_is_still_followed(
    watched: Platform, wake: ArrivalWake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", LIMIT)
    with database.write() as session:
        job = create_job(session, state="failed", closed=False)

    def close() -> None:
        with database.write() as session:
            session.get_one(Attempt, (job.id, 1)).closed = True
        wake.notify(job.id)

    async def test() -> None:
        waiting = asyncio.create_task(next_messages(follow(watched, job.id, Cursor())))
        await wake.arrived.get()
        assert not waiting.done()
        await asyncio.to_thread(close)
        assert names(await waiting) == ["end"]

    live(test)


def test_a_deleted_job_ends_its_streams(watched: Platform) -> None:
    async def test() -> None:
        (message,) = await next_messages(follow(watched, "zzzzzzzz", Cursor()))
        assert (message.event, message.data["state"]) == ("end", "deleted")

    live(test)


def scope_of(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", f"Bearer {USER_TOKEN}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }


def test_many_clients_that_go_away_leave_nothing_behind(
    app: FastAPI, wake: ArrivalWake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", LIMIT)
    with database.write() as session:
        job = create_job(session, state="running")

    async def one(gone: asyncio.Event) -> None:
        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(_: Any) -> None:
            return None

        await app(scope_of(f"{JOBS}/{job.id}/stream"), receive, send)

    async def test() -> None:
        gone = asyncio.Event()
        clients = [asyncio.create_task(one(gone)) for _ in range(50)]
        for _ in clients:
            await wake.arrived.get()
        gone.set()
        await asyncio.gather(*clients)

    live(test)
    assert wake.waiting == 0


def test_the_end_of_the_process_ends_every_stream(
    watched: Platform, wake: ArrivalWake, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "POLL_SECONDS", LIMIT)
    with database.write() as session:
        job = create_job(session, state="running")

    async def test() -> None:
        waiting = asyncio.create_task(next_messages(follow(watched, job.id, Cursor())))
        await wake.arrived.get()
        wake.close()
        assert await waiting == []  # no `end`: the client comes back and goes on

    live(test)
