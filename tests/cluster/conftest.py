"""Tests against a real API server; each is skipped with the reason where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.found import argo, cluster, kubectl
from tests.cluster.images import images
from tests.cluster.namespace import Namespace, namespace_in
from workflows.argo.access import Access

__all__ = ["argo", "cluster", "images", "kubectl"]


@pytest.fixture(scope="module")
def namespace(cluster: Access) -> Iterator[Namespace]:
    """A namespace for one test module, seen by an administrator."""
    with namespace_in(cluster) as made:
        yield made
