"""News that another process has written reaches who waits here, by one question for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event

from api.db import Database
from api.jobs import stream
from api.jobs.lookout import Lookout
from api.jobs.stream import Cursor, follow
from api.models import Job
from api.platform import Platform
from tests.api.factories import ArrivalWake, create_event, create_heartbeat, create_job

LIMIT = 20.0


@pytest.fixture
def elsewhere(database: Database) -> Iterator[Database]:
    """The same records, written by another process."""
    other = Database(database.url)
    yield other
    other.close()


@pytest.fixture
def lookout(watched: Platform, wake: ArrivalWake) -> Lookout:
    return Lookout(watched.database, wake)


def jobs(database: Database, count: int) -> list[str]:
    with database.write() as session:
        return [create_job(session, state="running").id for _ in range(count)]


def write(database: Database, job_id: str, message: str) -> None:
    with database.write() as session:
        create_event(session, session.get_one(Job, job_id), message=message)


async def waits(wake: ArrivalWake, job_id: str) -> asyncio.Task[None]:
    task = asyncio.create_task(wake.wait(job_id, seconds=LIMIT))
    assert await wake.arrived.get() == job_id
    await asyncio.sleep(0)
    return task


def test_only_those_are_woken_of_whose_job_there_is_news(
    lookout: Lookout, wake: ArrivalWake, database: Database, elsewhere: Database
) -> None:
    one, other = jobs(database, 2)

    async def test() -> None:
        # The first look wakes everybody: what came before it may have been missed.
        first = [await waits(wake, job_id) for job_id in (one, other)]
        lookout.look()
        await asyncio.gather(*first)
        patient, eager = [await waits(wake, job_id) for job_id in (one, other)]
        lookout.look()
        await asyncio.to_thread(write, elsewhere, other, "news")
        lookout.look()
        await eager
        assert not patient.done()
        patient.cancel()

    asyncio.run(asyncio.wait_for(test(), LIMIT))


def test_a_thousand_who_wait_cost_one_question(lookout: Lookout, wake: ArrivalWake, database: Database) -> None:
    ids = jobs(database, 100)
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))

    async def test() -> None:
        waiting = [await waits(wake, job_id) for job_id in ids for _ in range(10)]
        lookout.look()
        await asyncio.gather(*waiting)

    asyncio.run(asyncio.wait_for(test(), LIMIT))
    assert len([statement for statement in asked if "jobs" in statement]) == 1


def test_where_nobody_waits_nothing_is_asked(lookout: Lookout, database: Database) -> None:
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    lookout.look()
    assert asked == []


def test_a_stream_hears_of_another_process_without_looking_by_itself(
    watched: Platform,
    wake: ArrivalWake,
    database: Database,
    elsewhere: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "QUIET_SECONDS", LIMIT)
    (job_id,) = jobs(database, 1)
    lookout = Lookout(database, wake, every=0.01)

    def beat(epoch: int) -> None:
        with elsewhere.write() as session:
            create_heartbeat(session, session.get_one(Job, job_id), epoch=epoch)

    async def test() -> None:
        got = ""
        pieces = follow(watched, job_id, Cursor())
        for epoch in range(5):
            await asyncio.to_thread(beat, epoch)
            while f'"epoch":{epoch}' not in got:
                got += (await anext(pieces)).decode()
        assert isinstance(pieces, AsyncGenerator)
        await pieces.aclose()

    lookout.start()
    try:
        asyncio.run(asyncio.wait_for(test(), LIMIT))
    finally:
        lookout.stop()


def test_it_works_while_the_app_does(app: FastAPI, platform: Platform) -> None:
    assert not platform.wake.attended
    with TestClient(app):
        assert platform.wake.attended
    assert not platform.wake.attended
