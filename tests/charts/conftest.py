"""Tests of the chart; skipped where there is no Helm."""

from __future__ import annotations

import pytest

from tests.charts.helm import find


@pytest.fixture(autouse=True, scope="session")
def _helm() -> None:
    if find() is None:
        pytest.skip("helm is not installed")
