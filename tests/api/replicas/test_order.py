"""Several processes on one PostgreSQL: numbers appear in order, and nobody overwrites what another has decided."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import InternalError

from api.callbacks.bodies import read_heartbeats
from api.callbacks.heartbeats import Delivery, HeartbeatStore
from api.callbacks.statements import statements_for
from api.db import Database
from api.errors import IllegalMove
from api.jobs import service
from api.jobs.dataset import DatasetUnknown
from api.jobs.status import Reason, State, move
from api.jobs.stream import Cursor, follow
from api.models import Dataset, Event, Heartbeat, Job
from api.platform import Platform
from tests.api.factories import NOW, create_dataset, create_event, create_job

LIMIT = 30.0


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """The same records, seen by another process."""
    other = Database(database.url)
    yield other
    other.close()


@pytest.fixture
def job_id(database: Database) -> str:
    with database.write() as session:
        return create_job(session, state="running").id


class Meanwhile:
    """Something that goes on in a thread, and may have to wait for us."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.failure: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.failure = error

    def waits(self, database: Database) -> None:
        """Returns once the database says that somebody waits for a lock."""
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        for _ in range(10_000):
            with database.read() as session:
                if session.scalar(waiting):
                    return
            assert self._thread.is_alive(), f"it did not wait: {self.failure}"
        raise AssertionError("nobody ever waited")

    def end(self) -> None:
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()
        if self.failure is not None:
            raise self.failure


def beat(database: Database, job_id: str, trace_id: str, epoch: int) -> None:
    store = HeartbeatStore(statements_for(database.engine.dialect))
    body = f'{{"trace_id": "{trace_id}", "epoch": {epoch}}}'.encode()
    with database.write_connection() as connection:
        assert store.store(connection, [Delivery(job_id, 1, tuple(read_heartbeats(body)), NOW)]) == [True]


def tell(database: Database, job_id: str, message: str) -> None:
    with database.write() as session:
        create_event(session, session.get_one(Job, job_id), message=message)


def told(platform: Platform, job_id: str, cursor: Cursor, count: int) -> tuple[str, str]:
    """Follows a stream until so much was told; returns it all and the last id, as a client would keep it."""

    async def run() -> str:
        got = ""
        async with asyncio.timeout(LIMIT):
            async for piece in follow(platform, job_id, cursor):
                got += piece.decode()
                if got.count("data: ") >= count:
                    return got
        return got

    got = asyncio.run(run())
    return got, [line for line in got.splitlines() if line.startswith("id: ")][-1].removeprefix("id: ")


def test_an_event_whose_number_was_given_first_is_never_skipped(
    platform: Platform, database: Database, other: Database, job_id: str
) -> None:
    """The first of two writers has its number and is slow to commit: the second must not become visible before it."""
    with database.write() as session:
        create_event(session, session.get_one(Job, job_id), message="first")
        second = Meanwhile(lambda: tell(other, job_id, "second"))
        second.waits(other)
        with other.read() as reader:
            assert reader.scalars(select(Event.message)).all() == []
    second.end()
    got, last = told(platform, job_id, Cursor(), 1)
    rest = got if got.count("data: ") == 2 else got + told(platform, job_id, Cursor.parse(last), 1)[0]
    assert rest.index('"first"') < rest.index('"second"')


def test_without_holding_the_job_a_stream_would_skip_one(
    platform: Platform, database: Database, other: Database, job_id: str
) -> None:
    """What the test above guards against does happen: else it would prove nothing."""
    insert = text(
        "INSERT INTO events (job_id, attempt, kind, level, event_type, message, data, created_at) "
        "VALUES (:job, 1, 'trainer', 'info', 'x', :message, '{}', now())"
    )
    with database.engine.begin() as slow:
        slow.execute(insert, {"job": job_id, "message": "first"})
        with other.engine.begin() as quick:
            quick.execute(insert, {"job": job_id, "message": "second"})
        got, last = told(platform, job_id, Cursor(), 1)
        assert '"second"' in got
    tell(database, job_id, "third")
    got, _ = told(platform, job_id, Cursor.parse(last), 1)
    assert '"first"' not in got
    assert '"third"' in got


def test_heartbeats_of_two_replicas_appear_in_the_order_of_their_numbers(
    database: Database, other: Database, job_id: str
) -> None:
    with database.read() as session:
        trace = session.get_one(Job, job_id).trace_id
    store = HeartbeatStore(statements_for(database.engine.dialect))
    body = f'{{"trace_id": "{trace}", "epoch": 1}}'.encode()
    with database.write_connection() as connection:
        store.store(connection, [Delivery(job_id, 1, tuple(read_heartbeats(body)), NOW)])
        second = Meanwhile(lambda: beat(other, job_id, trace, 2))
        second.waits(other)
    second.end()
    with database.read() as session:
        assert session.scalars(select(Heartbeat.epoch).order_by(Heartbeat.seq)).all() == [1, 2]
        assert session.get_one(Job, job_id).epoch == 2


def test_batches_with_the_same_jobs_do_not_wait_for_each_other_in_a_circle(database: Database, other: Database) -> None:
    with database.write() as session:
        jobs = [(job.id, job.trace_id) for job in [create_job(session, state="running") for _ in range(20)]]

    def send(where: Database, order: int) -> None:
        store = HeartbeatStore(statements_for(where.engine.dialect))
        for epoch in range(15):
            deliveries = [
                Delivery(job, 1, tuple(read_heartbeats(f'{{"trace_id": "{t}", "epoch": {epoch}}}'.encode())), NOW)
                for job, t in jobs[::order]
            ]
            with where.write_connection() as connection:
                store.store(connection, deliveries)

    both = [Meanwhile(lambda: send(database, 1)), Meanwhile(lambda: send(other, -1))]
    for one in both:
        one.end()
    with database.read() as session:
        assert len(session.scalars(select(Heartbeat.seq)).all()) == 300


def test_a_cancel_and_an_end_at_the_same_moment_do_not_overwrite_each_other(
    platform: Platform, database: Database, other: Database, job_id: str
) -> None:
    """The reconciler has read that the job runs; before it says that it succeeded, somebody cancels."""
    with other.write() as session:
        job = session.get_one(Job, job_id)
        cancel = Meanwhile(lambda: service.cancel_job(platform, job_id))
        cancel.waits(other)
        move(session, job, State.SUCCEEDED, reason=Reason.COMPLETED, message="done", at=NOW)
    with pytest.raises(IllegalMove):
        cancel.end()
    with database.read() as session:
        assert session.get_one(Job, job_id).state == State.SUCCEEDED


def test_one_retry_of_two_at_once_makes_one_attempt(platform: Platform, database: Database, other: Database) -> None:
    with database.write() as session:
        job_id = create_job(session, state="failed", closed=True).id
    with other.write() as session:
        session.get_one(Job, job_id)
        both = [Meanwhile(lambda: service.retry_job(platform, job_id)) for _ in range(2)]
        for one in both:
            one.waits(other)
    refused = 0
    for one in both:
        try:
            one.end()
        except IllegalMove:
            refused += 1
    assert refused == 1
    with database.read() as session:
        assert session.get_one(Job, job_id).attempt == 2


def test_a_dataset_that_is_being_deleted_takes_no_job(
    platform: Platform, other: Database, folder: Path, request_body: dict[str, Any]
) -> None:
    """Whoever deletes it has seen that no job uses it, and holds it: a job that comes now finds it gone."""
    with other.write() as session:
        create_dataset(session, uri=f"file://{folder}/")
    with other.write() as session:
        session.get_one(Dataset, "digits").deleting = True
        session.flush()
        submit = Meanwhile(lambda: service.create_job(platform, request_body | {"dataset": "digits"}))
        submit.waits(other)
    with pytest.raises(DatasetUnknown):
        submit.end()
    with other.read() as session:
        assert session.scalars(select(Job.id)).all() == []


def test_who_stands_still_in_a_transaction_holds_nobody_up_for_ever(database: Database, job_id: str) -> None:
    """A process that was stopped holding a job: the server takes the job from it after a while."""
    with suppress(InternalError), database.write() as session:
        session.get_one(Job, job_id)
        session.connection().exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 50")
        tell(database, job_id, "and yet")
        session.scalar(text("SELECT 1"))
        raise AssertionError("it still held the job")
    with database.read() as session:
        assert session.scalars(select(Event.message)).all() == ["and yet"]
