"""Fixtures of the jobs' tests: a dataset on disk and a request that is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from api.platform import Platform
from tests.api.factories import ArrivalWake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset's folder."""
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "annotations.json").write_text("{}")
    return folder


@pytest.fixture
def request_body(folder: Path) -> dict[str, Any]:
    """The body of a job that may be submitted."""
    return {"framework": "toy", "model": "softmax", "dataset": str(folder), "hyperparameters": {"epochs": 3}}


@pytest.fixture
def wake(app: FastAPI, platform: Platform) -> ArrivalWake:
    """The platform's bell, which tells who waits for it."""
    wake = ArrivalWake()
    app.state.platform = replace(platform, wake=wake)
    return wake


@pytest.fixture
def watched(app: FastAPI, wake: ArrivalWake) -> Platform:
    """The platform with that bell."""
    platform: Platform = app.state.platform
    return platform
