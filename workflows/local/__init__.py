"""The local engine: runs the subset of Argo that the compiler emits as processes on this machine."""

from workflows.local.capacity import Capacity
from workflows.local.engine import LocalEngine
from workflows.local.images import LocalImages

__all__ = ["Capacity", "LocalEngine", "LocalImages"]
