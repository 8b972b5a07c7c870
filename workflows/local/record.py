"""One workflow as the engine holds it: the manifest, Argo's status, and what only this engine needs to go on."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workflows.local import status
from workflows.local.status import Node


@dataclass
class PodRecord:
    """What the engine keeps of a pod besides its node; times in seconds since the epoch."""

    template: str
    scope: dict[str, str]
    queued: float
    exit_handler: bool = False
    attempt_of: str | None = None
    launched: bool = False
    cpu: float = 0.0
    gpus: list[str] = field(default_factory=list)
    note: str = ""
    started: float | None = None
    finished: float | None = None
    stop: str | None = None
    kill: bool = False

    @property
    def over(self) -> bool:
        """Tells whether nothing of the pod runs, nor ever will."""
        return self.finished is not None


class Workflow:
    """A workflow with its state; `changed` tells that the state is not on disk yet."""

    def __init__(
        self,
        manifest: Mapping[str, Any],
        state: Mapping[str, Any],
        secrets: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.manifest = manifest
        self.secrets = secrets or {}
        self.rests_until = 0.0
        self.name: str = manifest["metadata"]["name"]
        self.metadata: dict[str, Any] = copy.deepcopy(dict(state["metadata"]))
        self.status: dict[str, Any] = copy.deepcopy(dict(state["status"]))
        engine = state["engine"]
        self.shutdown: str | None = engine["shutdown"]
        self.cut: bool = engine["cut"]
        self.deadline: float | None = engine["deadline"]
        self.pods: dict[str, PodRecord] = {key: PodRecord(**value) for key, value in engine["pods"].items()}
        self.changed = False

    @staticmethod
    def fresh(manifest: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Returns the state of a workflow that was just accepted."""
        metadata = manifest["metadata"]
        own = {
            "labels": dict(metadata.get("labels") or {}),
            "annotations": dict(metadata.get("annotations") or {}),
            "uid": str(uuid.uuid4()),
            "creationTimestamp": status.timestamp(now),
            "resourceVersion": "1",
        }
        engine: dict[str, Any] = {"shutdown": None, "cut": False, "deadline": None, "pods": {}}
        return {"metadata": own, "status": {}, "engine": engine}

    def state(self) -> dict[str, Any]:
        """Returns all of the state, ready to be written."""
        pods = {key: vars(record) for key, record in self.pods.items()}
        engine: dict[str, Any] = {"shutdown": self.shutdown, "cut": self.cut, "deadline": self.deadline, "pods": pods}
        return {"metadata": self.metadata, "status": self.status, "engine": engine}

    @cached_property
    def templates(self) -> dict[str, dict[str, Any]]:
        """The templates by name."""
        return {template["name"]: template for template in self.manifest["spec"]["templates"]}

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes by id."""
        nodes: dict[str, Node] = self.status.setdefault("nodes", {})
        return nodes

    @property
    def finished(self) -> bool:
        """Tells whether all is over, the exit handler included."""
        return "finishedAt" in self.status

    def node(self, name: str) -> Node | None:
        """Returns the node of that name, if it has been made."""
        return self.nodes.get(status.node_id(self.name, name))

    def add(self, node: Node) -> Node:
        """Puts a node into the status."""
        self.nodes[node["id"]] = node
        self.changed = True
        return node

    def set(self, target: dict[str, Any], **values: Any) -> None:
        """Sets fields of a node or of the status, None removes; only a real change counts as one."""
        for key, value in values.items():
            if value is None:
                if key in target:
                    del target[key]
                    self.changed = True
            elif target.get(key) != value:
                target[key] = value
                self.changed = True

    def mark(self, record: PodRecord, **values: Any) -> None:
        """Sets fields of a pod's record."""
        for key, value in values.items():
            if getattr(record, key) != value:
                setattr(record, key, value)
                self.changed = True

    def hang(self, parent: str, child: str) -> None:
        """Hangs a node below another one."""
        children = self.nodes[parent].setdefault("children", [])
        if child not in children:
            children.append(child)
            self.changed = True

    def settled(self, node: Node) -> bool:
        """Tells whether a node has its final phase and nothing of it runs any more."""
        if node["phase"] not in status.FINAL:
            return False
        record = self.pods.get(node["id"])
        return record is None or record.over


def whole(manifest: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the workflow as one object: the manifest with the state's metadata and status."""
    spec = dict(manifest["spec"])
    if state["engine"]["shutdown"]:
        spec["shutdown"] = state["engine"]["shutdown"]
    found = {**manifest, "metadata": {**manifest["metadata"], **state["metadata"]}, "spec": spec}
    return {**found, "status": state["status"]} if state["status"] else found
