"""An API server to run against, a real one or its twin, and what a controller and a user do in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.faults.forward import Forward
from tests.cluster.namespace import namespace_in
from tests.workflows.argo.fake import Behaviour, serving
from tests.workflows.argo.store import Store
from workflows.argo.access import Access
from workflows.argo.client import MERGE, Client

NOBODY = {"workflows.argoproj.io/controller-instanceid": "nobody"}
"""A controller that happens to be there leaves these workflows alone."""


def manifest(job: str, attempt: int = 1) -> dict[str, Any]:
    """A workflow that a real API server takes."""
    labels = {"tiphys/job-id": job, "tiphys/attempt": str(attempt), **NOBODY}
    container = {"image": "none/such:1", "command": ["true"]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": f"train-{job}-{attempt}", "labels": labels},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": container}]},
    }


class Backend:
    """An API server as an administrator sees it, beside the door that an engine is to use."""

    def __init__(self, behave: Behaviour, admin: Client, access: Access) -> None:
        self.behave = behave
        self.admin = admin
        self.access = access
        """What an engine shows; its address is to be replaced by a door's."""

    def step(self, name: str, step: str, phase: str, **node: Any) -> None:
        """Sets the node of a step, as the controller does."""
        node = {"id": f"{name}-{step}", "name": f"{name}.{step}", "displayName": step, "templateName": step} | node
        node |= {"type": "Pod", "phase": phase, "startedAt": "2026-11-21T12:00:00Z"}
        if phase in ("Succeeded", "Failed"):
            node["outputs"] = {"exitCode": "0" if phase == "Succeeded" else "1"}
        self.patch(name, {"status": {"phase": "Running", "nodes": {node["id"]: node}}})

    def end(self, name: str, phase: str = "Succeeded", message: str | None = None) -> None:
        """Ends a workflow, as the controller does."""
        labels = {"workflows.argoproj.io/completed": "true", "workflows.argoproj.io/phase": phase}
        status = {"phase": phase, "finishedAt": "2026-11-21T12:10:00Z", "message": message}
        self.patch(name, {"metadata": {"labels": labels}, "status": status})

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """Changes a workflow."""
        self.admin.call("PATCH", self.admin.workflows(name), what="change it", body=body, kind=MERGE)

    def create(self, thing: dict[str, Any]) -> dict[str, Any]:
        """Makes a workflow that the platform did not."""
        return dict(self.admin.call("POST", self.admin.workflows(), what="create it", body=thing).json())

    def workflow(self, name: str) -> dict[str, Any] | None:
        """Returns a workflow as it is."""
        answer = self.admin.call("GET", self.admin.workflows(name), what="look", allow=(404,))
        return None if answer.status_code == 404 else dict(answer.json())

    def delete(self, name: str) -> None:
        """Deletes a workflow, as anybody may."""
        self.admin.call("DELETE", self.admin.workflows(name), what="delete it")

    def secrets(self) -> set[str]:
        """Returns the names of the Secrets that the platform made."""
        query = {"labelSelector": "app.kubernetes.io/managed-by=tiphys"}
        answer = self.admin.call("GET", self.admin.secrets(), what="look", query=query)
        return {item["metadata"]["name"] for item in answer.json()["items"]}


@contextmanager
def twin() -> Iterator[Backend]:
    """The API server in memory."""
    store = Store()
    with serving(store) as api:
        access = Access(url=api.url, namespace=store.namespace)
        client = Client(access)
        try:
            yield Backend(store, client, access)
        finally:
            store.close()
            client.close()


@contextmanager
def real(admin: Access) -> Iterator[Backend]:
    """A namespace of a real API server, which the engine enters as an account of its own."""
    with namespace_in(admin, prefix="faults") as made:
        forward = Forward(admin)
        try:
            yield Backend(forward, made.client, dataclasses.replace(admin, namespace=made.name))
        finally:
            forward.close()
