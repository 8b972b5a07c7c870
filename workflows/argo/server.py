"""Creates workflows through an Argo Server, which checks them as the controller will read them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from workflows.argo.access import Access
from workflows.argo.client import Client
from workflows.argo.objects import Workflow

WHO = "the Argo Server"
CONFLICT, MISSING = 409, 404


class ArgoServer:
    """An Argo Server; safe to use from several threads.

    It speaks the same REST calls as Hera's WorkflowsService, by our own client: that service waits without end, dies
    of a proxy's error page with a KeyError, and shows for ever the token it was made with.
    """

    def __init__(self, access: Access, *, clock: Callable[[], float] = time.monotonic, trust_env: bool = False) -> None:
        self._client = Client(access, who=WHO, clock=clock, trust_env=trust_env)

    def close(self) -> None:
        """Ends all connections."""
        self._client.close()

    def create(self, manifest: Mapping[str, Any]) -> Workflow | None:
        """Creates a workflow; returns None where the name is taken.

        Raises EngineUnavailable or EngineRefused.
        """
        what = f"create workflow {manifest['metadata']['name']}"
        path = _path(str(manifest["metadata"]["namespace"]))
        body = {"workflow": manifest}
        answer = self._client.call("POST", path, what=what, body=body, allow=(CONFLICT,), final=True)
        # Whether the workflow was made where something else answers is found out at the next try.
        return None if answer.status_code == CONFLICT else self._client.read(answer, Workflow, what=what)

    def get(self, name: str, *, namespace: str) -> Workflow | None:
        """Returns a workflow, or None where there is none of that name."""
        what = f"read workflow {name}"
        path = f"{_path(namespace)}/{quote(name, safe='')}"
        answer = self._client.call("GET", path, what=what, absent=name)
        return None if answer.status_code == MISSING else self._client.read(answer, Workflow, what=what)


def _path(namespace: str) -> str:
    return f"/api/v1/workflows/{quote(namespace, safe='')}"
