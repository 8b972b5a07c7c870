"""The database: one transaction a write, nothing left of one that fails, writers in turn."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from api.db import Database
from api.models import Dataset, Job
from tests.api.factories import NOW, create_dataset, create_job


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Dataset)) or 0


def test_a_write_is_committed_at_the_edge(database: Database) -> None:
    with database.write() as session:
        create_dataset(session)
        assert count(database) == 0  # not before
    assert count(database) == 1


def test_nothing_is_left_of_a_write_that_fails(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as session:
            create_dataset(session)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_and_fail()
    assert count(database) == 0
    with database.write() as session:  # and the turn was given back
        create_dataset(session)
    assert count(database) == 1


def test_nothing_is_left_of_a_bare_write_that_fails(database: Database) -> None:
    insert = "INSERT INTO datasets (id, name, uri, source, created_at) VALUES ('a', 'a', 'a', 'a', '2026-01-01')"

    def write_and_fail() -> None:
        with database.write_connection() as connection:
            connection.execute(text(insert))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_and_fail()
    assert count(database) == 0
    with database.write_connection() as connection:
        connection.execute(text(insert))
    assert count(database) == 1


def test_a_read_writes_nothing(database: Database) -> None:
    with database.read() as session:
        session.add(Dataset(id="x", name="x", uri="x", source="reference", created_at=NOW))
    assert count(database) == 0


def test_writers_from_many_threads_all_get_their_turn(database: Database) -> None:
    threads, each, failures = 8, 10, []

    def write(number: int) -> None:
        try:
            for turn in range(each):
                with database.write() as session:
                    create_dataset(session, id=f"{number}-{turn}")
        except Exception as error:
            failures.append(error)

    running = [threading.Thread(target=write, args=(n,)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join(60)
    assert failures == []
    assert count(database) == threads * each


def test_a_connection_in_use_at_the_close_ends_when_it_comes_back(database: Database) -> None:
    other = Database(database.url)
    with other.read() as session:
        raw = session.connection().connection.dbapi_connection
        other.close()
    assert raw is not None
    with pytest.raises(Exception, match="closed"):
        raw.cursor().execute("SELECT 1")


def test_a_second_process_waits_for_the_writer_instead_of_failing(database: Database) -> None:
    other = Database(database.url)
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        with other.write() as session:
            create_dataset(session, id="second")
        done.set()

    with database.write() as session:
        create_dataset(session, id="first")
        thread = threading.Thread(target=write)
        thread.start()
        begun.wait(10)
        assert not done.is_set()
    thread.join(30)
    other.close()
    assert done.is_set()
    assert count(database) == 2


@pytest.mark.sqlite_only
def test_sqlite_is_set_up_to_lose_nothing(database: Database) -> None:
    with database.engine.connect() as connection:
        names = ("journal_mode", "synchronous", "foreign_keys")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]
    assert values == ["wal", 2, 1]


def test_moments_come_back_in_utc_whatever_zone_they_were_written_in(database: Database) -> None:
    east = datetime(2026, 11, 21, 14, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as session:
        create_dataset(session, created_at=east)
    with database.read() as session:
        (found,) = session.scalars(select(Dataset.created_at))
    assert found == east
    assert found.tzinfo is UTC


def test_what_hangs_on_a_job_goes_with_it(database: Database) -> None:
    with database.write() as session:
        job = create_job(session)
        session.delete(job)
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM attempts")) == 0


def test_the_same_idempotency_key_cannot_stand_twice(database: Database) -> None:
    def write_twice() -> None:
        with database.write() as session:
            create_job(session, idempotency_key="k")
            create_job(session, idempotency_key="k")

    with pytest.raises(IntegrityError):
        write_twice()
    with database.read() as session:
        assert session.scalars(select(Job)).all() == []


def test_an_unreachable_database_says_so(database: Database) -> None:
    away = Database("sqlite:////nonexistent/folder/tiphys.db")
    with pytest.raises(OperationalError), away.read() as session:
        session.execute(text("SELECT 1"))
    away.close()
