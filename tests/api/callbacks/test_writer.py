"""The one writer: groups, durability, and a database that fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import OperationalError

from api.auth import JobClaims, issue_job_token
from api.callbacks.bodies import Beat, Reading
from api.callbacks.writer import HeartbeatWriter
from api.db import Database
from api.errors import NotFound, StorageFull, TiphysError, Unavailable
from api.models import Heartbeat, Job
from api.settings import Settings
from tests.api.callbacks.conftest import Trainer
from tests.api.factories import NOW, create_job, environment_of

ROOT = Path(__file__).parents[3]
SERVER = """
import sys
from pathlib import Path
import uvicorn
from api.main import create_app
from api.settings import Settings
uvicorn.run(create_app(Settings(home=Path(sys.argv[1]))), fd=int(sys.argv[2]), log_level="error")
"""


class Failing(Database):
    """A database whose next transactions fail as told."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.faults: list[Exception] = []
        self.transactions = 0

    @contextmanager
    def write_connection(self) -> Iterator[Connection]:
        self.transactions += 1
        if self.faults:
            raise self.faults.pop(0)
        with super().write_connection() as connection:
            yield connection


def fault(text: str) -> OperationalError:
    return OperationalError("INSERT", {}, sqlite3.OperationalError(text))


@pytest.fixture
def database(settings: Settings, database: Database) -> Iterator[Failing]:
    failing = Failing(settings.resolved_database_url())
    yield failing
    failing.close()


def beat(epoch: int, trace_id: str, **fields: Any) -> Beat:
    return Beat(Reading(trace_id=trace_id, epoch=epoch, **fields))


def submit_all(database: Database, work: Sequence[tuple[JobClaims, Beat]]) -> list[bool | BaseException]:
    """Submits everything in one turn of the event loop, so that it is one batch."""

    async def run() -> list[bool | BaseException]:
        writer = HeartbeatWriter(database, notify=lambda _: None)
        writer.start()
        try:
            futures = [writer.submit(claims, [one], received_at=NOW) for claims, one in work]
            return await asyncio.gather(*futures, return_exceptions=True)
        finally:
            await asyncio.to_thread(writer.stop)

    return asyncio.run(run())


def test_what_one_turn_of_the_loop_submits_waits_while_turns_bring_more(database: Failing) -> None:
    with database.write() as session:
        job = create_job(session, state="running")

    async def run() -> list[bool]:
        writer = HeartbeatWriter(database, notify=lambda _: None)
        writer.start()
        futures = []
        for epoch in range(20):
            futures.append(writer.submit(JobClaims(job.id, 1, 0.0), [beat(epoch, job.trace_id)], received_at=NOW))
            await asyncio.sleep(0)
        try:
            return await asyncio.gather(*futures)
        finally:
            await asyncio.to_thread(writer.stop)

    assert asyncio.run(run()) == [True] * 20
    assert database.transactions == 1


def test_a_loop_that_never_rests_is_served_too(database: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.callbacks.writer._MAX_BATCH", 3)
    with database.write() as session:
        job = create_job(session, state="running")

    async def run() -> None:
        writer = HeartbeatWriter(database, notify=lambda _: None)
        writer.start()
        first = writer.submit(JobClaims(job.id, 1, 0.0), [beat(0, job.trace_id)], received_at=NOW)
        rest = []
        epoch = 0
        async with asyncio.timeout(30):
            while not first.done():
                epoch += 1
                rest.append(writer.submit(JobClaims(job.id, 1, 0.0), [beat(epoch, job.trace_id)], received_at=NOW))
                await asyncio.sleep(0)
        await asyncio.gather(*rest)
        await asyncio.to_thread(writer.stop)

    asyncio.run(run())


def test_what_was_not_handed_over_before_the_end_is_told_so(database: Failing) -> None:
    async def run() -> None:
        writer = HeartbeatWriter(database, notify=lambda _: None)
        writer.start()
        future = writer.submit(JobClaims("k7m2qz9x", 1, 0.0), [beat(1, "x")], received_at=NOW)
        writer.stop()  # in the same turn of the loop
        await future

    with pytest.raises(Unavailable):
        asyncio.run(run())
    assert database.transactions == 0


def test_what_is_queued_together_is_one_transaction(database: Failing) -> None:
    with database.write() as session:
        jobs = [create_job(session, state="running") for _ in range(5)]
    work = [(JobClaims(job.id, 1, 0.0), beat(epoch, job.trace_id)) for job in jobs for epoch in range(10)]
    assert submit_all(database, work) == [True] * 50
    assert database.transactions == 1


def test_in_one_batch_each_gets_its_own_answer(database: Failing) -> None:
    with database.write() as session:
        good = create_job(session, state="running")
        ending = create_job(session, state="cancelling")
    answers = submit_all(
        database,
        [
            (JobClaims(good.id, 1, 0.0), beat(1, good.trace_id, metrics={"a": 1.0})),
            (JobClaims("zzzzzzzz", 1, 0.0), beat(1, "x")),
            (JobClaims(good.id, 1, 0.0), beat(1, "another")),
            (JobClaims(ending.id, 1, 0.0), beat(1, ending.trace_id)),
            (JobClaims(good.id, 1, 0.0), beat(1, good.trace_id, metrics={"a": None, "b": 2.0})),
        ],
    )
    assert [type(answer) if isinstance(answer, Exception) else answer for answer in answers] == [
        True,
        NotFound,
        type(answers[2]),
        False,
        True,
    ]
    assert isinstance(answers[2], TiphysError)
    assert answers[2].code == "trace_mismatch"
    with database.read() as session:
        found = session.scalars(select(Heartbeat.metrics).where(Heartbeat.job_id == good.id)).all()
    assert found == [{"a": 1.0, "b": 2.0}]


@pytest.mark.parametrize(
    ("text", "error", "status"),
    [("database or disk is full", StorageFull, 507), ("database is locked", Unavailable, 503)],
)
def test_a_database_that_fails_is_told_and_the_writer_lives_on(
    database: Failing, trainer: Trainer, text: str, error: type[TiphysError], status: int
) -> None:
    database.faults = [fault(text)]
    answer = trainer.beat(epoch=1)
    assert (answer.status_code, answer.json()["code"]) == (status, error.code)
    assert answer.headers["retry-after"]
    assert "sqlite" not in answer.text.lower()
    assert trainer.beats() == []
    assert trainer.beat(epoch=1).status_code == 200
    assert len(trainer.beats()) == 1


def test_whatever_else_goes_wrong_the_writer_lives_on(database: Failing, trainer: Trainer) -> None:
    database.faults = [RuntimeError("boom")]
    assert trainer.beat(epoch=1).status_code == 503
    assert trainer.beat(epoch=1).status_code == 200


def test_what_is_wrong_with_one_costs_the_others_nothing(database: Failing) -> None:
    with database.write() as session:
        one, other = (create_job(session, state="running") for _ in range(2))
    database.faults = [fault("something odd"), fault("something odd")]
    answers = submit_all(
        database,
        [(JobClaims(one.id, 1, 0.0), beat(1, one.trace_id)), (JobClaims(other.id, 1, 0.0), beat(1, other.trace_id))],
    )
    assert isinstance(answers[0], Unavailable)
    assert answers[1] is True


@pytest.mark.sqlite_only
def test_a_full_disk_really_is_507(database: Failing, trainer: Trainer) -> None:
    with database.write_connection() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    # As full as it gets without filling a disk: no page may be added.
    limited = [database.engine.connect() for _ in range(4)]
    for connection in limited:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    for connection in limited:
        connection.close()
    answers = [trainer.beat(epoch=epoch, note="x" * 5000) for epoch in range(1, 40)]
    assert answers[-1].status_code == 507
    assert answers[-1].json()["code"] == "disk_full"
    event = {"event_type": "x", "message": "y" * 20_000}
    assert [trainer.call("event", event | {"data": {"n": n}}).status_code for n in range(20)][-1] == 507
    assert trainer.call("done", {"status": "failed", "error": "z" * 20_000}).status_code == 507


def test_before_the_start_and_after_the_end_it_is_unavailable(database: Failing) -> None:
    async def run(writer: HeartbeatWriter) -> None:
        await writer.submit(JobClaims("k7m2qz9x", 1, 0.0), [beat(1, "x")], received_at=NOW)

    writer = HeartbeatWriter(database, notify=lambda _: None)
    with pytest.raises(Unavailable):
        asyncio.run(run(writer))
    writer.start()
    with pytest.raises(NotFound):
        asyncio.run(run(writer))
    writer.stop()
    writer.stop()
    with pytest.raises(Unavailable):
        asyncio.run(run(writer))


def test_those_who_wait_for_news_are_woken(database: Failing) -> None:
    woken: list[str] = []
    with database.write() as session:
        job = create_job(session, state="running")

    async def run() -> None:
        writer = HeartbeatWriter(database, notify=woken.append)
        writer.start()
        await writer.submit(JobClaims(job.id, 1, 0.0), [beat(1, job.trace_id)], received_at=NOW)
        await asyncio.to_thread(writer.stop)

    asyncio.run(run())
    assert woken == [job.id]


def test_an_answered_heartbeat_survives_kill_9(settings: Settings, database: Failing) -> None:
    with database.write() as session:
        job = create_job(session, state="running")
    token = issue_job_token(settings, job.id, 1, datetime.now(UTC) + timedelta(hours=1))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(settings.home), str(listening.fileno())],
            pass_fds=[listening.fileno()],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environment_of(settings),
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30) as client:
                for epoch in range(1, 6):
                    answer = client.post(
                        f"/v1/jobs/{job.id}/heartbeat",
                        json={"trace_id": job.trace_id, "epoch": epoch, "metrics": {"loss": 1 / epoch}},
                        headers={"Authorization": f"Bearer {token}"},
                    )
                    assert answer.json() == {"status": "ok", "should_continue": True}
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
    with database.read() as session:
        assert session.scalars(select(Heartbeat.epoch).order_by(Heartbeat.seq)).all() == [1, 2, 3, 4, 5]
        assert session.scalars(select(Job.epoch)).all() == [5]
