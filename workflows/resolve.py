"""Fills what a job left open with the defaults of its framework and model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflows.catalog import FRAMEWORKS
from workflows.quantities import Duration, Memory

TOTAL = "12h"
NO_HEARTBEAT = "30m"


def filled(job: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a valid job with every default filled in; what was given stays as it is."""
    home = FRAMEWORKS[job["framework"]]
    model = job.get("model") or next(iter(home.models), home.name)
    task = job.get("task") or (home.models[model].task if model in home.models else home.tasks[0])
    metrics = home.metrics.get(task, ())
    out = {**job, "model": model, "task": task}
    if "primary_metric" not in out and metrics:
        out["primary_metric"] = {"name": metrics[0].name, "mode": metrics[0].mode}
    out["hyperparameters"] = _hyperparameters(job.get("hyperparameters", {}), home.hyperparameters)
    out["resources"] = _resources(job.get("resources", {}), home.resources)
    out["limits"] = _limits(job.get("limits", {}))
    return out


def _hyperparameters(given: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    defaults = {key: schema["default"] for key, schema in known.items() if "default" in schema}
    if given.get("optimizer") == "auto":
        defaults.pop("learning_rate", None)  # chosen by the framework: a number here would only pretend
    return {**defaults, **given}


def _resources(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    out = {**defaults, **given}
    half = Memory.parse(out["memory"]).bytes // 2
    if "shared_memory" not in given and Memory.parse(out["shared_memory"]).bytes > half:
        out["shared_memory"] = f"{max(half // 2**20, 1)}Mi"
    return out


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    total = given.get("total", TOTAL)
    short = Duration.parse(total).seconds < Duration.parse(NO_HEARTBEAT).seconds
    return {"total": total, "no_heartbeat": total if short else NO_HEARTBEAT, **given}
