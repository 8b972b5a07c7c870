"""Fixtures of the API's tests: a migrated database of either kind, a clock that stands still, platform and client."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.datasets.worker import DatasetWorker
from api.db import Database
from api.main import create_app
from api.platform import Platform
from api.settings import Settings, prepare_home
from tests import postgres
from tests.api.factories import USER_TOKEN, Clock

SIGNING_KEY = "a-key-that-every-process-knows-and-nobody-else"
OVER_BOTH = (
    "test_db",
    "callbacks/test_done",
    "callbacks/test_events",
    "callbacks/test_heartbeats",
    "callbacks/test_statements",
    "callbacks/test_writer",
    "jobs/test_create",
    "jobs/test_dry_run",
    "jobs/test_list",
    "jobs/test_logs",
    "jobs/test_lookout",
    "jobs/test_moves",
    "jobs/test_records",
    "jobs/test_stream",
    "reconciler/test_cancel",
    "reconciler/test_follow",
    "reconciler/test_process",
    "reconciler/test_silence",
    "reconciler/test_submit",
)
"""Tests that run once more on PostgreSQL: those of what is said to a database."""
EVERYTHING = bool(os.environ.get("TIPHYS_TEST_ALL_ON_POSTGRES"))
"""Whether all others do so, too: the datasets' and the command line's, for example."""
POSTGRES_ONLY = "replicas/"
"""What cannot happen with SQLite's one writer."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what speaks to the database over both kinds, unless it is marked to be of one alone."""
    if "backend" not in metafunc.fixturenames or metafunc.definition.get_closest_marker("sqlite_only"):
        return
    where = metafunc.definition.nodeid.partition("tests/api/")[2]
    kinds = [pytest.param("postgres", marks=pytest.mark.postgres)]
    if where.startswith(OVER_BOTH) or (EVERYTHING and not where.startswith(POSTGRES_ONLY)):
        metafunc.parametrize("backend", ["sqlite", *kinds], indirect=True)
    elif where.startswith(POSTGRES_ONLY):
        metafunc.parametrize("backend", kinds, indirect=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL server, started once, where there is one to be had."""
    if not postgres.found():
        pytest.skip(postgres.HINT)
    with postgres.server() as server:
        yield server


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str | None:
    """The URL of an empty PostgreSQL database at head; None for SQLite in the home folder."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return None
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return server.fresh()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at head, made once and copied for each test."""
    path = tmp_path_factory.mktemp("schema") / "tiphys.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def settings(tmp_path: Path, backend: str | None) -> Settings:
    """Settings of a platform in a fresh home folder: embedded, or with its records on PostgreSQL."""
    keys = {"k": SecretStr(SIGNING_KEY)} if backend else {}
    return prepare_home(
        Settings(home=tmp_path / "home", user_token=SecretStr(USER_TOKEN), database_url=backend, signing_keys=keys)
    )


@pytest.fixture
def database(settings: Settings, migrated: Path) -> Iterator[Database]:
    """The database of the settings, at head and empty."""
    if not settings.shared:
        shutil.copyfile(migrated, settings.resolved_home() / "tiphys.db")
    database = Database(settings.resolved_database_url())
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until a test moves it."""
    return Clock()


@pytest.fixture
def app(settings: Settings, database: Database, clock: Clock) -> FastAPI:
    """The whole API over the fresh home folder."""
    return create_app(settings, database=database, clock=clock)


@pytest.fixture
def platform(app: FastAPI) -> Platform:
    """What the routes work with."""
    made = app.state.platform
    assert isinstance(made, Platform)
    return made


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client that carries the user's token, while the app's lifespan runs."""
    with TestClient(app, headers={"Authorization": f"Bearer {USER_TOKEN}"}) as client:
        yield client


@pytest.fixture
def worker(platform: Platform) -> DatasetWorker:
    """Who works the tasks off, one step at a time."""
    storage = platform.storage
    return DatasetWorker(platform.settings, platform.database, storage=lambda: storage, clock=platform.clock)


@pytest.fixture
def working(worker: DatasetWorker) -> Iterator[None]:
    """Tasks are worked off while the test runs, as by the reconciler's process."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.serve, args=(stop,))
    thread.start()
    yield
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
