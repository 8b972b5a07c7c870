"""Fixtures of the API's tests: a migrated database, a clock that stands still, the platform and a client."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.db import Database
from api.main import create_app
from api.platform import Platform
from api.settings import Settings, prepare_home
from tests.api.factories import USER_TOKEN, Clock


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at head, made once and copied for each test."""
    path = tmp_path_factory.mktemp("schema") / "tiphys.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an embedded platform in a fresh home folder."""
    return prepare_home(Settings(home=tmp_path / "home", user_token=SecretStr(USER_TOKEN)))


@pytest.fixture
def database(settings: Settings, migrated: Path) -> Iterator[Database]:
    """The database of the fresh home folder, at head."""
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
