"""A job and an attempt to start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workflows.attempt import Run
from workflows.keys import StorageTarget
from workflows.spec import JobSpec


@pytest.fixture
def job() -> Callable[..., JobSpec]:
    """Makes a valid job, with the given fields in place of its own."""

    def make(**fields: Any) -> JobSpec:
        return JobSpec.from_mapping({"framework": "ultralytics", "model": "yolo11n", "dataset": "digits", **fields})

    return make


@pytest.fixture
def attempt() -> Callable[..., Run]:
    """Makes an attempt on S3-compatible storage with a backend, with the given fields in place of its own."""

    def make(**fields: Any) -> Run:
        given: dict[str, Any] = {
            "job_id": "7k3mqz2x",
            "trace_id": "5" * 32,
            "dataset_uri": "s3://bucket/datasets/digits/",
            "storage": StorageTarget("minio", "bucket", endpoint="http://storage:9000"),
            "backend_url": "http://api:8137",
        }
        return Run(**{**given, **fields})

    return make
