"""The parts of Kubernetes' objects that are read, decoded without the rest."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import msgspec

COMPLETED = "workflows.argoproj.io/completed"
JOB = "tiphys/job-id"
ENDED = frozenset({"Succeeded", "Failed", "Error"})
_GZIP = 16 + zlib.MAX_WBITS


class Owner(msgspec.Struct):
    """Whom an object goes with."""

    kind: str = ""
    name: str = ""
    uid: str = ""


class Meta(msgspec.Struct, rename="camel"):
    """An object's name, identity and labels."""

    name: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: list[Owner] = []
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None


class Wish(msgspec.Struct):
    """What was asked of a workflow after it was made."""

    # Of any type: what one person wrote into a workflow of ours must not keep the list of all from being read.
    shutdown: Any = None
    suspend: Any = None


_NOTHING = msgspec.Raw(b"{}")


class Workflow(msgspec.Struct):
    """A workflow as its events show it; the status stays as bytes until somebody reads it."""

    metadata: Meta
    spec: Wish = msgspec.field(default_factory=Wish)
    status: msgspec.Raw = _NOTHING

    @property
    def completed(self) -> bool:
        """Whether the controller has said its last word, exit handler included."""
        return self.metadata.labels.get(COMPLETED) == "true"

    def kept(self) -> Workflow:
        """Returns it with a status of its own: what was decoded holds on to the whole message it came in."""
        return Workflow(self.metadata, self.spec, msgspec.Raw(bytes(self.status)))


class ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "next": "continue"}):
    """Where a list stands, and how to get its next page."""

    resource_version: str = ""
    next: str = ""


class Page(msgspec.Struct):
    """One page of workflows."""

    metadata: ListMeta
    items: list[Workflow] | None = None


class Named(msgspec.Struct):
    """Any object of which only the metadata is read."""

    metadata: Meta


class Names(msgspec.Struct):
    """One page of objects without their contents; of none at all, the server says null."""

    metadata: ListMeta
    items: list[Named] | None = None


class Event(msgspec.Struct):
    """One line of a watch; what `object` is depends on the type."""

    type: str
    object: msgspec.Raw


class Status(msgspec.Struct):
    """What an `ERROR` event says."""

    code: int = 0
    message: str = ""


def whole(workflow: Workflow) -> dict[str, Any]:
    """Returns a workflow as one plain object in Argo's shape, its nodes unpacked."""
    meta = workflow.metadata
    metadata = {"name": meta.name, "uid": meta.uid, "resourceVersion": meta.resource_version, "labels": meta.labels}
    spec: dict[str, Any] = {}
    if workflow.spec.shutdown:
        spec["shutdown"] = str(workflow.spec.shutdown)
    if workflow.spec.suspend:
        spec["suspend"] = True
    status: dict[str, Any] = unpacked(msgspec.json.decode(workflow.status) or {})
    return {"metadata": metadata, "spec": spec, "status": status}


def unpacked(status: dict[str, Any]) -> dict[str, Any]:
    """Returns a status with its nodes, which Argo compresses where they are large (about 1 MiB)."""
    packed = status.get("compressedNodes")
    if not packed or status.get("nodes"):
        return status
    try:
        nodes = msgspec.json.decode(zlib.decompress(base64.b64decode(packed), _GZIP))
    except (zlib.error, ValueError):
        return status  # a controller set to another algorithm: the workflow's own phase still tells how it ended
    return {**status, "nodes": nodes}
