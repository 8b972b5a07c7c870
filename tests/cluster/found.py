"""Finds the real cluster that tests may use, and says what is missing where there is none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from workflows.argo.access import Access, AccessError
from workflows.argo.client import Client
from workflows.argo.find import find_access
from workflows.engine import EngineError

KUBECONFIG = "TIPHYS_TEST_KUBECONFIG"
"""Not KUBECONFIG itself: that may lead to somebody's production, and tests make and remove namespaces."""
ARGO_SERVER = os.environ.get("TIPHYS_TEST_ARGO_SERVER", "http://127.0.0.1:2746")

IMAGE = os.environ.get("TIPHYS_TEST_IMAGE", "local/pause:1")
"""An image with a shell that the node has or can pull; by default the shared cluster's own."""
SHELL = ["/busybox", "sh", "-c"] if IMAGE == "local/pause:1" else ["sh", "-c"]


def missing(reason: str) -> NoReturn:
    """Skips for want of something, and says what; where it was asked for by name, that is a failure."""
    if os.environ.get("TIPHYS_TEST_NO_SKIP"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def kubeconfig() -> Path:
    """The kubeconfig of the cluster that tests may use; it need not be there."""
    return Path(os.environ.get(KUBECONFIG, "~/.cluster/kubeconfig")).expanduser()


@pytest.fixture(scope="session")
def cluster() -> Access:
    """The way into a real cluster's namespace `default`, as an administrator."""
    path = kubeconfig()
    if not path.exists():
        missing(f"no cluster: there is no {path} ({KUBECONFIG} names another; see tests/cluster/README.md)")
    try:
        access = find_access(kubeconfig=path, namespace="default", env=os.environ)
        client = Client(access)
        try:
            client.call("GET", client.workflows(), what="list workflows", query={"limit": "1"})
        finally:
            client.close()
    except (AccessError, EngineError) as error:
        missing(f"the cluster of {path} cannot be used: {error}")
    return access


@pytest.fixture(scope="session")
def argo(cluster: Access) -> str:
    """The URL of the Argo Server beside a real controller."""
    try:
        httpx.get(f"{ARGO_SERVER}/api/v1/version", timeout=2).raise_for_status()
    except httpx.HTTPError as error:
        missing(
            f"no Argo: nothing answers at {ARGO_SERVER} ({error}); TIPHYS_TEST_ARGO_SERVER names another, and "
            "tests/cluster/README.md says how to start one"
        )
    return ARGO_SERVER


@pytest.fixture(scope="session")
def kubectl(cluster: Access) -> list[str]:
    """The beginning of every kubectl command."""
    found = shutil.which("kubectl")
    if found is None:
        missing("kubectl is not installed")
    return [found, f"--kubeconfig={kubeconfig()}"]
