"""The planner's door for scripts: say what is wanted, get a workflow, run it here or hand it to Argo."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from workflows.version import __version__

if TYPE_CHECKING:
    from workflows.adhoc import main, run, submit
    from workflows.attempt import Run
    from workflows.keys import StorageTarget
    from workflows.problems import SpecError
    from workflows.spec import JobSpec
    from workflows.templates import Steps
    from workflows.training import training_workflow

__all__ = [
    "JobSpec",
    "Run",
    "SpecError",
    "Steps",
    "StorageTarget",
    "__version__",
    "main",
    "run",
    "submit",
    "training_workflow",
]

_HOMES = {
    "JobSpec": "workflows.spec",
    "Run": "workflows.attempt",
    "SpecError": "workflows.problems",
    "Steps": "workflows.templates",
    "StorageTarget": "workflows.keys",
    "main": "workflows.adhoc",
    "run": "workflows.adhoc",
    "submit": "workflows.adhoc",
    "training_workflow": "workflows.training",
}


def __getattr__(name: str) -> Any:
    # On demand: hera takes 40 MB and a second to import, and most of the platform never builds a workflow.
    if name not in _HOMES:
        raise AttributeError(f"module 'workflows' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
