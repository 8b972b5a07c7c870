"""Lists workflows page by page, so that neither side ever holds them all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from workflows.argo.client import Client
from workflows.argo.identity import OURS
from workflows.argo.objects import COMPLETED, Names, Page
from workflows.engine import EngineUnavailable

LIMIT = 500
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
GONE = 410
WHAT = "list workflows"
LIVE = f"{OURS},{COMPLETED}!=true"

_T = TypeVar("_T", Page, Names)


def live(client: Client) -> Iterator[Page]:
    """Yields our workflows that have not ended; a watch goes on from the last page's version."""
    return _pages(client, LIVE, Page, accept="application/json")


def names(client: Client, *, live: bool = False) -> list[str]:
    """Returns the names of all our workflows, ended ones included unless `live`."""
    selector = LIVE if live else OURS
    return [
        item.metadata.name
        for page in _pages(client, selector, Names, accept=METADATA_ONLY)
        for item in page.items or ()
    ]


def _pages(client: Client, selector: str, kind: type[_T], *, accept: str) -> Iterator[_T]:
    query = {"labelSelector": selector, "limit": str(LIMIT)}
    while True:
        answer = client.call("GET", client.workflows(), what=WHAT, query=query, accept=accept, allow=(GONE,))
        if answer.status_code == GONE:
            # It took longer than etcd remembers; going on from now would mix two moments and miss workflows.
            raise EngineUnavailable("the list of workflows expired between two pages: it is begun anew")
        page = client.read(answer, kind, what=WHAT)
        yield page
        if not page.metadata.next:
            return
        query["continue"] = page.metadata.next
