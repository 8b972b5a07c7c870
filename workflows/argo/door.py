"""A script's way into a cluster: one workflow, through an Argo Server or through the Kubernetes API."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflows.argo.access import Access, AccessError
from workflows.argo.client import Client
from workflows.argo.create import create, find, recognise
from workflows.argo.find import find_access
from workflows.argo.identity import by_digest, noted
from workflows.argo.server import ArgoServer
from workflows.engine import EngineRefused


def through_server(
    manifest: Mapping[str, Any], *, url: str, token: str | None, namespace: str, ca: Path | None = None
) -> None:
    """Creates a workflow through an Argo Server, which checks it first; the same one again changes nothing.

    Raises EngineUnavailable, and EngineRefused also where another workflow has the name.
    """
    if ca is not None and not ca.is_file():
        raise EngineRefused(f"there is no certificate authority {ca}")
    tls = ssl.create_default_context(cafile=str(ca)) if ca is not None else True
    access = Access(url=url.rstrip("/"), namespace=namespace, token=lambda: token, tls=tls)
    # As everything else a person starts by hand, it heeds the proxy of the environment.
    server = ArgoServer(access, trust_env=True)
    identity = by_digest(manifest)
    try:
        if server.create(noted(manifest, identity, namespace=namespace)) is None:
            there = server.get(identity.name, namespace=namespace)
            if there is not None:
                recognise(there.metadata, identity, namespace=namespace)
    finally:
        server.close()


def through_kubernetes(manifest: Mapping[str, Any], *, namespace: str, env: Mapping[str, str]) -> None:
    """Creates a workflow through the Kubernetes API that a kubeconfig or this pod's account leads to."""
    try:
        client = Client(find_access(namespace=namespace, env=env), trust_env=True)
    except AccessError as error:
        raise EngineRefused(str(error)) from None
    identity = by_digest(manifest)
    try:
        if create(client, noted(manifest, identity, namespace=namespace)) is None:
            there = find(client, identity.name)
            if there is not None:
                recognise(there.metadata, identity, namespace=namespace)
    finally:
        client.close()
