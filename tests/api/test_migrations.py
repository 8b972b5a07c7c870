"""The migrations lead to exactly what the models say, and back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect, text

from api.db import MIGRATIONS, Database
from api.models import Base
from tests.api.factories import create_event, create_heartbeat, create_job
from tests.postgres import Server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
        yield database
        database.close()
        return
    server: Server = request.getfixturevalue("postgres_server")
    url = server.create(migrated=False)
    database = Database(url)
    yield database
    database.close()
    server.drop(url)


def run(database: Database, verb: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, verb)(config, revision)


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, Base.metadata))


def test_from_empty_up_to_head_is_what_the_models_say(empty: Database) -> None:
    empty.migrate()
    assert differences(empty) == []
    assert tables(empty) == {*Base.metadata.tables, "alembic_version"}


def test_migrating_twice_changes_nothing(empty: Database) -> None:
    empty.migrate()
    empty.migrate()
    assert differences(empty) == []


def test_down_to_nothing_and_up_again(empty: Database) -> None:
    empty.migrate()
    run(empty, "downgrade", "base")
    assert tables(empty) == {"alembic_version"}
    run(empty, "upgrade", "head")
    assert differences(empty) == []


def test_each_step_can_be_taken_alone(empty: Database) -> None:
    revisions = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    for revision in reversed(revisions):
        run(empty, "upgrade", revision)
    for _ in revisions:
        run(empty, "downgrade", "-1")
    assert tables(empty) == {"alembic_version"}


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory(str(MIGRATIONS)).get_heads()) == 1


def test_numbers_of_streams_are_never_given_twice(empty: Database) -> None:
    """A stream resumes by these numbers: one that is given again would hide what it stands for."""
    empty.migrate()
    numbers = []
    for _ in range(2):
        with empty.write() as session:
            job = create_job(session, id="k7m2qz9x")
            numbers.append((create_event(session, job).id, create_heartbeat(session, job).seq))
            session.flush()
            session.delete(job)
    first, second = numbers
    assert first < second
    assert first[1] < second[1]


def test_numbers_of_streams_do_not_end(empty: Database) -> None:
    """Two thousand trainers that report every second reach 32 bits within a fortnight."""
    empty.migrate()
    with empty.write() as session:
        job = create_job(session)
        assert create_heartbeat(session, job, seq=2**40).seq == 2**40
        assert create_event(session, job, id=2**40).id == 2**40
    if not empty.sqlite:
        with empty.engine.connect() as connection:
            kinds = connection.exec_driver_sql("SELECT DISTINCT data_type::text FROM pg_sequences").scalars().all()
            assert "bigint" in kinds
            ends = "SELECT max_value FROM pg_sequences WHERE sequencename IN ('events_id_seq', 'heartbeats_seq_seq')"
            assert connection.exec_driver_sql(ends).scalars().all() == [2**63 - 1] * 2


def test_replicas_that_start_together_migrate_once(empty: Database) -> None:
    made: list[str] = []
    others = [Database(empty.url) for _ in range(4)]
    for other in others:
        event.listen(other.engine, "before_cursor_execute", lambda *told: made.append(told[2]))
    failures = in_threads([other.migrate for other in others])
    for other in others:
        other.close()
    assert failures == []
    assert sum("CREATE TABLE jobs" in " ".join(statement.split()) for statement in made) == 1
    assert differences(empty) == []


def in_threads(works: list[Callable[[], None]]) -> list[Exception]:
    failures: list[Exception] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failures


def test_a_migration_that_is_cut_off_leaves_nothing_half_done(empty: Database) -> None:
    made = 0

    def cut(connection: object, cursor: object, statement: str, *_: object) -> None:
        nonlocal made
        made += statement.strip().upper().startswith("CREATE TABLE")
        if made == 5:
            raise KeyboardInterrupt

    event.listen(empty.engine, "before_cursor_execute", cut)
    with pytest.raises(KeyboardInterrupt):
        empty.migrate()
    event.remove(empty.engine, "before_cursor_execute", cut)
    assert tables(empty) == set()
    empty.migrate()
    assert differences(empty) == []


def test_a_connection_that_is_lent_meanwhile_is_closed_like_any_other(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    closed: list[Any] = []
    event.listen(database.engine, "close", lambda connection, _: closed.append(connection))
    with database.read() as session:
        mine = session.connection().connection.dbapi_connection
        database.migrate()
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()
    assert mine in closed


def test_keys_are_enforced_after_a_migration(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'fresh.db'}")
    database.migrate()
    with database.read() as session:
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()
