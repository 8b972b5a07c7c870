"""Where a job's pods run and as whom: an operator's words about a cluster, the same for every job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What Kubernetes is told of every pod; all of it is left out where nothing is said."""

    service_account: str | None = None
    """The account the pods run as; it needs to create and patch `workflowtaskresults`, nothing else."""
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets of the workflows' namespace."""
    node_selector: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Labels of the nodes on which every step runs."""
    gpu_node_selector: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Labels of the nodes on which GPUs are; of training steps that ask for one, beside the others."""
    gpu_tolerations: tuple[Mapping[str, Any], ...] = ()
    """Taints such nodes may have, as Kubernetes writes tolerations."""
    executor: str = "wait"
    """The container of Argo's executor in each pod: `supervisor` where the controller leaves out the init container."""


ANYWHERE = Placement()
