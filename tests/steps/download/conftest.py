"""Fixtures of the download step's tests."""

from collections.abc import Iterator

import pytest

from tests.steps.download.faulty import Faulty
from tests.steps.download.faulty import serving as faulty_service
from tests.steps.download.s3 import S3, serving


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 server with one bucket."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "bucket").mkdir()
    with serving(folder) as server:
        yield server


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    """A service that counts its requests and fails as it is told."""
    with faulty_service() as service:
        yield service
