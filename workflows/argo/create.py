"""Creates a workflow once, whoever tried before: one that is there already is recognised, or told to be another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.argo import secret
from workflows.argo.client import Client
from workflows.argo.identity import Identity, noted
from workflows.argo.objects import Meta, Workflow
from workflows.argo.server import ArgoServer
from workflows.engine import EngineRefused, EngineUnavailable

CONFLICT, MISSING = 409, 404


def create_with_secret(
    client: Client,
    server: ArgoServer | None,
    manifest: Mapping[str, Any],
    identity: Identity,
    secrets: Mapping[str, str],
) -> Workflow:
    """Creates the Secret, then the workflow, which then owns it; every step may have been done before.

    Raises EngineRefused for what the cluster will never take, and for a name that is another's.
    """
    fresh = bool(secrets) and secret.make(client, identity, secrets)
    if secrets and not fresh:
        # Before it is touched: it may belong to another's workflow of this name.
        there = find(client, identity.name)
        if there is not None:
            recognise(there.metadata, identity, namespace=client.namespace)
        secret.renew(client, identity, secrets)
    try:
        made = _create(client, server, manifest, identity)
    except EngineRefused:
        if secrets:
            secret.remove(client, identity, owned=False)
        raise
    except EngineUnavailable as error:
        if fresh and error.untouched:
            _take_back(client, identity, error)
        raise
    try:
        _own_secret(client, identity, secrets, made.metadata.uid)
    except EngineUnavailable as error:
        raise EngineUnavailable(error.message) from error  # whatever came of this call, the workflow is there
    return made


def create(client: Client, manifest: Mapping[str, Any]) -> Workflow | None:
    """Creates a workflow through the Kubernetes API; returns None where the name is taken."""
    what = f"create workflow {manifest['metadata']['name']}"
    answer = client.call("POST", client.workflows(), what=what, body=manifest, allow=(CONFLICT,), final=True)
    return None if answer.status_code == CONFLICT else client.read(answer, Workflow, what=what)


def find(client: Client, name: str) -> Workflow | None:
    """Returns a workflow of the cluster, whosesoever it is, or None where there is none."""
    what = f"read workflow {name}"
    answer = client.call("GET", client.workflows(name), what=what, absent=name)
    return None if answer.status_code == MISSING else client.read(answer, Workflow, what=what)


def recognise(found: Meta, identity: Identity, *, namespace: str) -> None:
    """Passes where a workflow is the same attempt's; raises EngineRefused where it is another's."""
    if not identity.same(found):
        raise EngineRefused(
            f"another workflow is already called {identity.name} in namespace {namespace}: "
            "delete it, or retry the job, which gives it a new name"
        )
    if found.deletion_timestamp:
        raise EngineUnavailable(f"workflow {identity.name} is being deleted: submit it again in a moment")


def _take_back(client: Client, identity: Identity, error: EngineUnavailable) -> None:
    """Removes the Secret of a workflow that was turned away; where it may be left, something was done."""
    try:
        secret.remove(client, identity, owned=False)
    except EngineUnavailable:
        raise EngineUnavailable(error.message) from error


def _own_secret(client: Client, identity: Identity, secrets: Mapping[str, str], uid: str) -> None:
    adopted = not secrets or secret.adopt(client, identity.name, uid)
    # Removed between both, with a former workflow of this name: the pods wait for it.
    if not adopted and not secret.make(client, identity, secrets, owner=uid):
        raise EngineUnavailable(f"secret {identity.name} was gone a moment ago and is there: it is tried again")


def _create(client: Client, server: ArgoServer | None, manifest: Mapping[str, Any], identity: Identity) -> Workflow:
    body = noted(manifest, identity, namespace=client.namespace)
    made = server.create(body) if server is not None else create(client, body)
    if made is not None:
        return made
    there = find(client, identity.name)
    if there is None:
        raise EngineUnavailable(f"workflow {identity.name} was there a moment ago and is gone: it is tried again")
    recognise(there.metadata, identity, namespace=client.namespace)
    return there
