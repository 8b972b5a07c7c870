"""What only the pods know: whether a container still runs, how it really ended, and who took it away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workflows.argo.client import Client
from workflows.argo.objects import Meta

MAIN = "main"
OF_WORKFLOW = "workflows.argoproj.io/workflow"
NODE_ID = "workflows.argoproj.io/node-id"
DEFAULT_GRACE = 30
LONGEST_PREFIX = 242
"""Characters of a pod's name before its number, as Argo cuts it."""
CONFLICT = 409


class Ended(msgspec.Struct, rename="camel"):
    """How a container ended; a kubelet that does not know its times writes them as null."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    finished_at: str | None = None


class Running(msgspec.Struct, rename="camel"):
    """Since when a container runs."""

    started_at: str | None = None


class ContainerState(msgspec.Struct):
    """One of both, or neither before it starts."""

    running: Running | None = None
    terminated: Ended | None = None


class Container(msgspec.Struct):
    """A container of a pod."""

    name: str
    state: ContainerState = msgspec.field(default_factory=ContainerState)


class Condition(msgspec.Struct):
    """One of a pod's conditions."""

    type: str
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(msgspec.Struct, rename="camel"):
    """How a pod stands."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    container_statuses: list[Container] = []
    conditions: list[Condition] = []


class PodSpec(msgspec.Struct, rename="camel"):
    """How long a pod may take to end."""

    termination_grace_period_seconds: int = DEFAULT_GRACE


class Pod(msgspec.Struct):
    """A pod of a workflow."""

    metadata: Meta
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)

    @property
    def node_id(self) -> str:
        """The node it runs for."""
        return self.metadata.annotations.get(NODE_ID, self.metadata.name)

    @property
    def _main(self) -> ContainerState:
        found = (c.state for c in self.status.container_statuses if c.name == MAIN)
        return next(found, ContainerState())

    @property
    def runs(self) -> bool:
        """Whether its main container still runs."""
        return self._main.running is not None and self.status.phase not in ("Succeeded", "Failed")

    @property
    def waits(self) -> bool:
        """Whether it has not begun, and nobody has ended it yet."""
        return self.status.phase == "Pending" and not self.metadata.deletion_timestamp

    @property
    def taken(self) -> bool:
        """Whether somebody takes it away: it is being deleted, or Kubernetes says that its node is drained or lost."""
        disrupted = any(c.type == "DisruptionTarget" and c.status == "True" for c in self.status.conditions)
        return self.metadata.deletion_timestamp is not None or disrupted

    def facts(self) -> dict[str, Any]:
        """Returns what is worth keeping with its node, in Argo's way of writing."""
        ended, status = self._main.terminated, self.status
        taken = next((c for c in status.conditions if c.type == "DisruptionTarget" and c.status == "True"), None)
        told = {
            "exitCode": str(ended.exit_code) if ended else None,
            "finishedAt": ended.finished_at if ended else None,
            "reason": status.reason or (ended.reason if ended else None),
            "message": status.message or None,
            "disruption": taken.reason if taken else None,
            "disruptionMessage": taken.message if taken else None,
        }
        return {key: value for key, value in told.items() if value}


class _Pods(msgspec.Struct):
    items: list[Pod] | None = None


def pod_name(workflow: str, node: Mapping[str, Any]) -> str:
    """Returns the name that Argo gives the pod of a node."""
    node_id = str(node["id"])
    if node.get("name") == workflow:
        return workflow
    template = str(node.get("templateName") or "")
    prefix = f"{workflow}-{template}" if template else workflow
    return f"{prefix[:LONGEST_PREFIX]}-{node_id.rpartition('-')[2]}"


def pods_of(client: Client, workflow: str) -> list[Pod]:
    """Returns the pods of a workflow that are still there."""
    query = {"labelSelector": f"{OF_WORKFLOW}={workflow}"}
    what = f"list the pods of {workflow}"
    return client.read(client.call("GET", client.pods(), what=what, query=query), _Pods, what=what).items or []


def remove(client: Client, pod: Pod, *, grace: int) -> None:
    """Ends a pod: SIGTERM, SIGKILL after `grace` seconds; one that is gone is no error."""
    name = pod.metadata.name
    body = {"gracePeriodSeconds": grace, "preconditions": {"uid": pod.metadata.uid}}
    client.call("DELETE", client.pods(name), what=f"remove pod {name}", body=body, allow=(CONFLICT,), absent=name)
