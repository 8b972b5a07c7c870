"""A reconciler's bench for every test that needs one."""

from __future__ import annotations

import pytest

from api.db import Database
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench


@pytest.fixture
def bench(settings: Settings, database: Database, clock: Clock) -> Bench:
    """A reconciler on a scripted engine and a fresh database."""
    return Bench(settings, database, clock)
