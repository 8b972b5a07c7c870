"""One Secret per workflow: made before it, owned by it afterwards, gone with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.argo.client import MERGE, Client
from workflows.argo.identity import Identity
from workflows.argo.objects import Meta, Named
from workflows.engine import EngineRefused, EngineUnavailable

CONFLICT, MISSING = 409, 404


def make(client: Client, identity: Identity, secrets: Mapping[str, str], *, owner: str | None = None) -> bool:
    """Makes the Secret, of a workflow's uid where it is known; returns False where one has the name already."""
    what = f"create secret {identity.name}"
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": identity.name, "labels": dict(identity.labels), **_owned(identity.name, owner)},
        "stringData": dict(secrets),
    }
    answer = client.call("POST", client.secrets(), what=what, body=body, allow=(CONFLICT,), final=True)
    if answer.status_code == CONFLICT:
        return False
    client.read(answer, Named, what=what)  # a page in its place is no Secret
    return True


def renew(client: Client, identity: Identity, secrets: Mapping[str, str]) -> None:
    """Brings the Secret that an earlier try left up to date.

    Raises EngineRefused where somebody else's Secret has the name.
    """
    found = _find(client, identity.name)
    if found is not None and not identity.matches(found):
        raise EngineRefused(
            f"a Secret called {identity.name} is in namespace {client.namespace} that this platform did not make: "
            "remove it, or use another namespace"
        )
    if found is None or found.deletion_timestamp:
        raise EngineUnavailable(f"secret {identity.name} is being removed: it is made anew in a moment")
    # Without its former owner: where that workflow is gone, Kubernetes is about to remove the Secret with it.
    body = {"metadata": {"uid": found.uid, "ownerReferences": None}, "stringData": dict(secrets)}
    what = f"bring secret {identity.name} up to date"
    client.read(client.call("PATCH", client.secrets(identity.name), what=what, body=body, kind=MERGE), Named, what=what)


def adopt(client: Client, name: str, uid: str) -> bool:
    """Makes the workflow the owner of its Secret: Kubernetes then removes both together; returns False without one."""
    what = f"hand secret {name} to its workflow"
    body = {"metadata": _owned(name, uid)}
    answer = client.call("PATCH", client.secrets(name), what=what, body=body, kind=MERGE, absent=name)
    if answer.status_code == MISSING:
        return False
    client.read(answer, Named, what=what)
    return True


def remove(client: Client, identity: Identity, *, owned: bool = True) -> None:
    """Removes the Secret if it is ours; one that has an owner goes with it, and is left alone without `owned`."""
    found = _find(client, identity.name)
    if found is None or not identity.matches(found) or (found.owner_references and not owned):
        return
    body = {"preconditions": {"uid": found.uid}}
    what = f"remove secret {identity.name}"
    client.call("DELETE", client.secrets(identity.name), what=what, body=body, allow=(CONFLICT,), absent=identity.name)


def _owned(name: str, uid: str | None) -> dict[str, Any]:
    if uid is None:
        return {}
    return {"ownerReferences": [{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": name, "uid": uid}]}


def _find(client: Client, name: str) -> Meta | None:
    what = f"read secret {name}"
    answer = client.call("GET", client.secrets(name), what=what, absent=name)
    return None if answer.status_code == MISSING else client.read(answer, Named, what=what).metadata
