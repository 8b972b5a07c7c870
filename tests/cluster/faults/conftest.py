"""Every test of faults runs over an API server in memory, and over a real one where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.db import Database
from api.settings import Settings, prepare_home
from tests.api.conftest import clock, migrated
from tests.api.factories import Clock
from tests.cluster.faults.backend import Backend, real, twin
from tests.cluster.faults.faulty import Faulty
from tests.cluster.faults.ordeal import Ordeal
from tests.workflows.argo.fake import serving

__all__ = ["clock", "migrated"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a platform in a fresh home folder, on Argo."""
    return prepare_home(Settings(home=tmp_path / "home", engine="argo", user_token=SecretStr("t")))


@pytest.fixture
def database(settings: Settings, migrated: Path) -> Iterator[Database]:
    """The records of the fresh home folder."""
    shutil.copyfile(migrated, settings.resolved_home() / "tiphys.db")
    made = Database(settings.resolved_database_url())
    yield made
    made.close()


@pytest.fixture(scope="module", params=["in memory", pytest.param("real", marks=pytest.mark.cluster)])
def kubernetes(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The API server."""
    opened = twin() if request.param == "in memory" else real(request.getfixturevalue("cluster"))
    with opened as made:
        yield made


@pytest.fixture
def ordeal(settings: Settings, database: Database, clock: Clock, kubernetes: Backend) -> Iterator[Ordeal]:
    """A reconciler on the real engine before a faulty door."""
    with serving(Faulty(kubernetes.behave)) as door:
        made = Ordeal(settings, database, clock, kubernetes, door)
        yield made
        made.close()
