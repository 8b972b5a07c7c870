"""Runs workflows on Argo in a Kubernetes cluster, behind the same protocol as the local engine."""

from workflows.argo.access import Access, AccessError
from workflows.argo.engine import ArgoEngine
from workflows.argo.find import find_access
from workflows.argo.server import ArgoServer

__all__ = ["Access", "AccessError", "ArgoEngine", "ArgoServer", "find_access"]
