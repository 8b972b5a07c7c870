"""A PostgreSQL that is away, refuses us, or goes away in the middle: one clear message, and it heals by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.engine import make_url

from api import postgres
from api.cli.fault import Fault
from api.cli.serve import prepared
from api.db import Database
from api.models import Event, Heartbeat, Job
from api.postgres import DatabaseUnusable, understood
from api.settings import SOURCE, Settings, prepare_home
from tests.api.callbacks.conftest import Trainer
from tests.api.factories import environment_of

JOBS = "/api/v1/training/jobs"
_CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"


def cut_off(database: Database) -> None:
    """Every connection is ended by the server, as when it is restarted."""
    url = understood(database.url)
    other = create_engine(url)
    with other.begin() as connection:
        connection.execute(
            text(f"{_CUT} AND pid <> pg_backend_pid()"),
            {"name": url.database},
        )
    other.dispose()


def test_idle_connections_that_were_cut_are_replaced(client: TestClient, trainer: Trainer, database: Database) -> None:
    assert trainer.beat(epoch=1).status_code == 200
    for epoch in (2, 3):
        cut_off(database)
        assert trainer.beat(epoch=epoch).status_code == 200
        cut_off(database)
        assert client.get(f"{JOBS}/{trainer.job.id}").status_code == 200
        cut_off(database)
        assert trainer.call("event", {"event_type": "x", "message": str(epoch)}).status_code == 200


@pytest.mark.parametrize("call", ["heartbeat", "event", "done"])
def test_a_connection_that_is_cut_in_a_transaction_costs_a_trainer_nothing(
    trainer: Trainer, database: Database, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """What it says is harmless twice: it is recorded again, once."""
    cuts = cutting(database, monkeypatch)
    body = {
        "heartbeat": {"trace_id": trainer.job.trace_id, "epoch": 1},
        "event": {"event_type": "x", "message": "told"},
        "done": {"status": "succeeded"},
    }[call]
    assert trainer.call(call, body).status_code == 200
    assert cuts == [1]
    with database.read() as session:
        assert len(session.scalars(select(Heartbeat)).all()) == (call == "heartbeat")
        assert len(session.scalars(select(Event).where(Event.kind == "trainer")).all()) == (call != "heartbeat")


def cutting(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The next time that a job is looked at in a transaction, its connection is cut just before."""
    cuts: list[int] = []
    execute = postgres_cursor().execute

    def cut(self: object, query: object, *args: object, **options: object) -> object:
        if "FOR NO KEY UPDATE" in str(query) and not cuts:
            cuts.append(1)
            cut_off(database)
        return execute(self, query, *args, **options)

    monkeypatch.setattr(postgres_cursor(), "execute", cut)
    return cuts


def postgres_cursor() -> type:
    import psycopg

    return psycopg.Cursor


def test_people_are_told_that_the_records_are_away(client: TestClient, database: Database, settings: Settings) -> None:
    name = make_url(database.url).database
    assert name
    admin = create_engine(understood(database.url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        try:
            cut_off_from(admin, name)
            answer = client.get(JOBS)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert client.get("/health").status_code == 200
            faults = client.get("/ready").json()["checks"]
            assert {n for n, check in faults.items() if not check["ok"]} == {"database", "migrations", "reconciler"}
        finally:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    admin.dispose()
    assert client.get(JOBS).status_code == 200


def cut_off_from(admin: Engine, name: str) -> None:
    with admin.connect() as connection:
        connection.execute(text(_CUT), {"name": name})


Change = Callable[[str], str]
WRONG: dict[str, tuple[Change, str]] = {
    "nobody listens": (lambda _: "postgresql://t:secret-word@127.0.0.1:1/tiphys", "refused"),
    "no such database": (lambda url: make_url(url).set(database="nothing").render_as_string(False), "nothing"),
    "no such user": (lambda url: make_url(url).set(username="nobody-here").render_as_string(False), "nobody-here"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_start_without_its_database_says_what_to_check(settings: Settings, database: Database, what: str) -> None:
    change, word = WRONG[what]
    wrong = settings.model_copy(update={"database_url": change(database.url)})
    with pytest.raises(Fault) as caught:
        prepared(wrong)
    assert word in caught.value.message
    assert "TIPHYS_DATABASE_URL" in caught.value.cure
    assert "secret-word" not in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("url", ["mysql://u:secret-word@h/d", "secret-word", "postgresql://u:secret-word@h:port/d"])
def test_a_url_that_is_none_is_refused_without_showing_it(settings: Settings, url: str) -> None:
    with pytest.raises(DatabaseUnusable) as caught:
        Database(url)
    assert "TIPHYS_DATABASE_URL" in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_a_url_is_understood_as_people_write_it(scheme: str) -> None:
    url = understood(f"{scheme}://user:p%40ss@db.example:6543/records?sslmode=require")
    assert url.drivername == "postgresql+psycopg"
    assert (url.password, url.port, url.database, url.query["sslmode"]) == ("p@ss", 6543, "records", "require")


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DatabaseUnusable, match=r"tiphys\[postgres\]"):
        Database("postgresql://u@h/d")


@pytest.mark.parametrize("missing", ["TIPHYS_USER_TOKEN", "TIPHYS_SIGNING_KEYS"])
def test_secrets_that_all_must_share_are_asked_for(settings: Settings, tmp_path: Path, missing: str) -> None:
    name = missing.removeprefix("TIPHYS_").lower()
    lacking = settings.model_copy(update={name: None if name == "user_token" else {}, "home": tmp_path / "new"})
    with pytest.raises(ValueError, match=f"^{missing} must be set"):
        prepare_home(lacking)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("module", ["api", "api.reconciler"])
def test_processes_say_so_in_one_line(settings: Settings, tmp_path: Path, module: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE)} | environment_of(settings)
    del environment["TIPHYS_USER_TOKEN"]
    ended = subprocess.run(
        [sys.executable, "-m", module], env=environment, cwd=tmp_path, capture_output=True, timeout=60
    )
    words = ended.stderr.decode()
    assert ended.returncode == 1
    assert "error: TIPHYS_USER_TOKEN must be set" in words
    assert "Traceback" not in words


def test_texts_may_hold_what_postgresql_does_not_take(client: TestClient, trainer: Trainer, database: Database) -> None:
    """A NUL character, which nobody means: its place is kept by another."""
    answer = trainer.call("event", {"event_type": "x", "message": "a\0b", "data": {"k\0": "\\u0000 \0"}})
    assert answer.status_code == 200
    assert trainer.beat(epoch=1, metrics={"loss\0": 1.0}, note="\0").status_code == 200
    (event,) = trainer.events("x")
    assert (event.message, event.data) == ("a\ufffdb", {"k\ufffd": "\\u0000 \ufffd"})
    (beat,) = trainer.beats()
    assert (beat.metrics, beat.extra) == ({"loss\ufffd": 1.0}, {"note": "\ufffd"})
    assert client.get(JOBS, params={"q": "a\0"}).status_code == 200


def test_numbers_are_taken_to_their_limits(trainer: Trainer, database: Database) -> None:
    most = 2**31 - 1
    assert trainer.beat(epoch=most, step=most, total_epochs=most, total_steps=most, progress=1e-300).status_code == 200
    data = {"checkpoint_uri": "s3://b/k.pt", "kind": "best", "size": 2**62, "epoch": 2**40}
    assert (
        trainer.call("event", {"event_type": "checkpoint_saved", "message": "m" * 60_000, "data": data}).status_code
        == 200
    )
    assert trainer.call("done", {"status": "succeeded", "training_time_seconds": 1e300}).status_code == 200
    saved = trainer.checkpoints()["best"]
    assert (saved.size, saved.epoch) == (2**62, None)
    with database.read() as session:
        assert session.get_one(Job, trainer.job.id).epoch == most


def test_an_escaped_backslash_before_a_u_is_left_alone() -> None:
    assert postgres.without_nul('"\\\\u0000 \\u0000 \\\\\\u0000"') == '"\\\\u0000 \\ufffd \\\\\\ufffd"'
