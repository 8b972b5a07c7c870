"""Tells what can be trained, from the planner's catalogue."""

from __future__ import annotations

from typing import Any

from api.catalog.schemas import (
    FrameworkDetail,
    FrameworkList,
    FrameworkView,
    MetricView,
    ModelDetail,
    ModelList,
    ModelView,
)
from api.errors import Invalid, NotFound
from workflows.catalog import FRAMEWORKS, Framework, Metric, Model, find_framework, find_model, hyperparameter_schema
from workflows.problems import Problem, SpecError
from workflows.tasks import TASKS, canonical_task


def list_frameworks() -> FrameworkList:
    """Returns all frameworks."""
    return FrameworkList(items=[FrameworkView(**_framework(home)) for home in FRAMEWORKS.values()])


def show_framework(name: str) -> FrameworkDetail:
    """Returns one framework; raises NotFound naming near matches."""
    home = _known_framework(name)
    metrics = {task: _metrics(known) for task, known in home.metrics.items()}
    return FrameworkDetail(**_framework(home), **_settings(home), metrics=metrics)


def list_models(*, framework: str | None = None, task: str | None = None) -> ModelList:
    """Returns models; raises NotFound for an unknown framework, Invalid for an unknown task."""
    homes = FRAMEWORKS.values() if framework is None else [_known_framework(framework)]
    wanted = None if task is None else canonical_task(task)
    if task is not None and wanted is None:
        raise Invalid(f"task: there is no task {task!r}", cure=f"use one of: {', '.join(TASKS)}")
    models = [model for home in homes for model in home.models.values()]
    return ModelList(items=[ModelView(**_model(model)) for model in models if wanted in (None, model.task)])


def show_model(framework: str, name: str) -> ModelDetail:
    """Returns one model; raises NotFound naming near matches."""
    home = _known_framework(framework)
    try:
        model = find_model(framework, name)
    except SpecError as error:
        raise _not_found(error.problems[0]) from error
    if not model.task:
        raise NotFound(
            f"{framework} has no models of its own: {name!r} is whatever your image makes of it",
            cure="see GET /api/v1/trainer/frameworks/custom",
        )
    example = {"framework": home.name, "model": model.name, "dataset": "my-dataset"}
    metrics = _metrics(home.metrics.get(model.task, ()))
    return ModelDetail(**_model(model), **_settings(home), metrics=metrics, example=example)


def _known_framework(name: str) -> Framework:
    try:
        return find_framework(name)
    except SpecError as error:
        raise _not_found(error.problems[0]) from error


def _not_found(problem: Problem) -> NotFound:
    return NotFound(problem.message, cure=problem.cure)


def _framework(home: Framework) -> dict[str, Any]:
    return {
        "name": home.name,
        "title": home.title,
        "description": home.description,
        "tasks": list(home.tasks),
        "image": home.image,
        "models": list(home.models),
        "requires_checkpoint": home.requires_checkpoint,
    }


def _model(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "framework": model.framework,
        "task": model.task,
        "title": model.title,
        "parameters": model.parameters,
        "pretrained": model.weights is not None,
    }


def _settings(home: Framework) -> dict[str, Any]:
    schema = hyperparameter_schema(home.name)
    return {
        "defaults": {key: value["default"] for key, value in home.hyperparameters.items() if "default" in value},
        "advanced_config": schema.pop("$defs")["advanced_config"],
        "hyperparameters": schema,
        "resources": dict(home.resources),
    }


def _metrics(known: tuple[Metric, ...]) -> list[MetricView]:
    return [MetricView(name=metric.name, mode=metric.mode) for metric in known]
