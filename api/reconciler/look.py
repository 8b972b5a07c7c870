"""What one look at a workflow showed, kept so that the next look costs nothing where nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from api.reconciler.nodes import Node, nodes_of
from workflows.engine import Engine, Versioned

_KEPT = ("phase", "message", "startedAt")


@dataclass(frozen=True, slots=True)
class Look:
    """A workflow's own fields and its nodes; `version` is the engine's, None where it has none to compare."""

    version: str | None
    status: Mapping[str, Any]
    nodes: Mapping[str, Node]

    @classmethod
    def of(cls, workflow: Mapping[str, Any], *, version: str | None) -> Look:
        """Keeps of a workflow what is asked about at every look."""
        status = workflow.get("status") or {}
        return cls(version, {key: status[key] for key in _KEPT if key in status}, nodes_of(status))


def version_of(engine: Engine, name: str) -> str | None:
    """Returns the version of a workflow without reading it, where the engine can tell."""
    return engine.version(name) if isinstance(engine, Versioned) else None


def digest_of(workflow: Mapping[str, Any]) -> str:
    """Returns what changes when anything worth telling does."""
    seen = (workflow.get("status"), (workflow.get("spec") or {}).get("shutdown"))
    return blake2b(json.dumps(seen, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()
