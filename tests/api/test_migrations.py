"""The migrations lead to exactly what the models say, and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect

from api.db import MIGRATIONS, Database
from api.models import Base


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    yield database
    database.close()


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
    with empty.engine.connect() as connection:
        sql = dict(connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all())
    assert "AUTOINCREMENT" in sql["events"]
    assert "AUTOINCREMENT" in sql["heartbeats"]


def test_a_migration_that_is_cut_off_leaves_nothing_half_done(empty: Database) -> None:
    made = 0

    def cut(connection: object, cursor: object, statement: str, *_: object) -> None:
        nonlocal made
        made += statement.strip().upper().startswith("CREATE TABLE")
        if made == 4:
            raise KeyboardInterrupt

    event.listen(empty.engine, "before_cursor_execute", cut)
    with pytest.raises(KeyboardInterrupt):
        empty.migrate()
    event.remove(empty.engine, "before_cursor_execute", cut)
    assert tables(empty) == set()
    empty.migrate()
    assert differences(empty) == []
