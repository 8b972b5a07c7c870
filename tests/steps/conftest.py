"""Fixtures for the workers' tests: a platform to talk to, a workspace to work in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steps.wire import Platform


@pytest.fixture
def platform() -> Iterator[Platform]:
    server = Platform()
    yield server
    server.away()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder
