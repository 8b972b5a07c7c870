"""A stage on a real controller for benchmarks, with a dataset of the size that is asked for."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.cluster.found import ARGO_SERVER, kubeconfig
from tests.conformance.stage import Stage, argo_stage
from workflows.argo.access import AccessError
from workflows.argo.client import Client
from workflows.argo.find import find_access
from workflows.engine import EngineError

REPO = Path(__file__).parents[2]


@contextlib.contextmanager
def measured(*, scenes: tuple[int, int] = (24, 8)) -> Iterator[Stage | None]:
    """Yields a stage with a dataset of so many pictures to learn from and to check; None without a controller."""
    try:
        admin = find_access(kubeconfig=kubeconfig(), namespace="default", env=os.environ)
        Client(admin).call("GET", "/readyz", what="answer")
        httpx.get(f"{ARGO_SERVER}/api/v1/version", timeout=2).raise_for_status()
    except (AccessError, EngineError, httpx.HTTPError) as error:
        print(f"skipped: no controller to measure with ({error})")
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        dataset = Path(folder) / "digits"
        command = [sys.executable, REPO / "workflows" / "examples" / "make_digits.py", dataset]
        subprocess.run([*command, "--scenes", *map(str, scenes)], check=True, capture_output=True)
        with argo_stage(Path(folder), dataset, admin, ARGO_SERVER) as stage:
            yield stage
