"""The lease: one holder at a time, by the database's clock; who has lost it can do nothing any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text

from api.db import Database
from api.models import Event, Job
from api.models import Lease as Row
from api.reconciler.fence import FencedDatabase, FencedEngine
from api.reconciler.lease import Lease, NotHeld, wait_for
from tests.api.factories import Clock, create_event, create_job
from tests.api.reconciler.scripted import ScriptedEngine, tiny_manifest

SECONDS = 30.0


class Stopwatch:
    """A process's own clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def records(database: Database) -> Iterator[FencedDatabase]:
    records = FencedDatabase(database.url)
    yield records
    records.close()


@pytest.fixture
def lease(records: FencedDatabase, watch: Stopwatch) -> Lease:
    lease = Lease(records, seconds=SECONDS, over=threading.Event(), clock=watch)
    assert lease.take()
    records.lease = lease
    return lease


@pytest.fixture
def rival(database: Database) -> Lease:
    """The same lease, as another process asks for it."""
    return Lease(database, seconds=SECONDS, over=threading.Event())


def run_out(database: Database) -> None:
    """Lets the lease's time in the database be over."""
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE leases SET until = until - interval '1 hour'"))


def row(database: Database) -> Row:
    with database.read() as session:
        return session.get_one(Row, "reconciler")


def test_a_second_one_has_to_wait_until_the_first_is_over(database: Database, lease: Lease, rival: Lease) -> None:
    assert not rival.take()
    run_out(database)
    assert rival.take()
    assert row(database).term == 2


def test_of_many_that_ask_at_once_one_gets_it(database: Database) -> None:
    rivals = [Lease(database, seconds=SECONDS, over=threading.Event()) for _ in range(8)]
    won: list[bool] = []
    threads = [threading.Thread(target=lambda one=one: won.append(one.take())) for one in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(won) == [False] * 7 + [True]


def test_what_is_given_back_is_free_at_once(lease: Lease, rival: Lease) -> None:
    lease.give_back()
    assert rival.take()
    lease.give_back()  # a second time takes nothing from the new holder
    rival.check()
    assert rival.renew()


def test_it_is_over_here_before_it_is_over_there(database: Database, lease: Lease, watch: Stopwatch) -> None:
    watch.now += SECONDS - 0.001
    lease.check()
    watch.now += 0.001
    with pytest.raises(NotHeld):
        lease.check()
    with database.read() as session:
        assert session.scalar(text("SELECT until > clock_timestamp() AT TIME ZONE 'UTC' FROM leases"))


def test_renewed_in_time_it_goes_on(lease: Lease, watch: Stopwatch) -> None:
    for _ in range(10):
        watch.now += SECONDS / 2
        assert lease.renew()
        lease.check()


def test_what_was_late_but_taken_by_nobody_goes_on(database: Database, lease: Lease, watch: Stopwatch) -> None:
    run_out(database)
    watch.now += 10 * SECONDS
    assert lease.renew()
    lease.check()
    assert not lease.over.is_set()


def test_what_another_one_has_taken_is_lost_for_good(
    database: Database, lease: Lease, rival: Lease, watch: Stopwatch
) -> None:
    run_out(database)
    assert rival.take()
    assert not lease.renew()
    assert lease.over.is_set()
    with pytest.raises(NotHeld):
        lease.check()
    assert row(database).term == 2


def test_nothing_lasting_is_begun_shortly_before_the_end(lease: Lease, watch: Stopwatch) -> None:
    engine = FencedEngine(Served(), lease)
    engine.submit(tiny_manifest("one"), secrets={})
    watch.now += SECONDS * 0.7
    lease.check()
    for deed in (engine.stop, engine.terminate, engine.delete):
        with pytest.raises(NotHeld):
            deed("one")
    with pytest.raises(NotHeld):
        engine.submit(tiny_manifest("two"), secrets={})
    assert engine.names() == ["one"]


class Served(ScriptedEngine):
    """The scripted engine, which needs no thread."""

    def __init__(self) -> None:
        super().__init__(Clock())

    def serve(self, stop: threading.Event) -> None:
        stop.wait()

    def close(self) -> None: ...


def write(records: Database) -> None:
    with records.write() as session:
        job = session.scalars(select(Job)).one()
        create_event(session, job, message="done by the old one")


def events(database: Database) -> list[Any]:
    with database.read() as session:
        return list(session.scalars(select(Event.message)))


def test_a_process_that_stood_still_writes_nothing_afterwards(
    database: Database, records: FencedDatabase, lease: Lease, rival: Lease
) -> None:
    """Its own clock says that all is well: it has not looked at it since it was stopped."""
    with database.write() as session:
        create_job(session)
    write(records)
    run_out(database)
    assert rival.take()
    lease.check()
    with pytest.raises(NotHeld):
        write(records)
    assert events(database) == ["done by the old one"]


def test_nobody_takes_over_in_the_middle_of_a_transaction(database: Database, rival: Lease) -> None:
    with database.write() as session:
        job_id = create_job(session).id
    records = FencedDatabase(database.url)
    records.lease = short = Lease(database, seconds=0.5, over=threading.Event())
    assert short.take()
    took: list[bool] = []
    thread = threading.Thread(target=lambda: took.append(rival.take()))
    with records.write() as session:
        create_event(session, session.get_one(Job, job_id), message="begun in time")
        asks(database, "SELECT until < clock_timestamp() AT TIME ZONE 'UTC' FROM leases")
        thread.start()
        asks(database, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        assert took == []
    thread.join(30)
    records.close()
    assert took == [True]
    assert events(database) == ["begun in time"]


def asks(database: Database, question: str) -> None:
    """Asks until the answer is yes."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(100_000):
            if connection.execute(text(question)).scalar():
                return
    raise AssertionError(question)


def test_standing_by_ends_when_it_is_told_to(database: Database, lease: Lease, rival: Lease) -> None:
    stop, asked = threading.Event(), []

    def alive() -> None:
        asked.append(1)
        if len(asked) == 3:
            stop.set()

    assert not wait_for(rival, stop, every=0.001, alive=alive)
    assert len(asked) == 3


def test_the_last_look_is_told(database: Database, lease: Lease, watch: Stopwatch) -> None:
    before = row(database).looked_at
    watch.now += 10
    lease.renew()
    assert row(database).looked_at == before  # ten seconds ago
    lease.looked()
    lease.renew()
    assert row(database).looked_at > before
