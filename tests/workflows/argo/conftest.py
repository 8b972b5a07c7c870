"""A client on a scripted API, and where they are there: a real API server, a real Argo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.cluster.found import argo, cluster
from tests.workflows.argo.fake import Api, Behaviour, serving
from workflows.argo.access import Access
from workflows.argo.client import Client

__all__ = ["argo", "cluster"]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticking() -> Clock:
    return Clock()


@pytest.fixture
def api_of() -> Iterator[Callable[[Behaviour], tuple[Api, Client]]]:
    """Serves a behaviour; returns the server and a client of it, in namespace `jobs`."""
    with ExitStack() as stack:

        def serve(behave: Behaviour) -> tuple[Api, Client]:
            api = stack.enter_context(serving(behave))
            client = Client(Access(url=api.url, namespace="jobs", token=lambda: "t0k3n"))
            stack.callback(client.close)
            return api, client

        yield serve
