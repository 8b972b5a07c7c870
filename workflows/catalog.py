"""The frameworks and models that can be trained, with what they accept and what they default to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from workflows.frameworks import custom, toy, ultralytics
from workflows.frameworks.shapes import Framework, Metric, Model, Schema
from workflows.problems import Problem, SpecError, suggest

__all__ = [
    "FRAMEWORKS",
    "Framework",
    "Metric",
    "Model",
    "Schema",
    "find_framework",
    "find_model",
    "hyperparameter_schema",
]

FRAMEWORKS: Mapping[str, Framework] = MappingProxyType(
    {framework.name: framework for framework in (ultralytics.FRAMEWORK, toy.FRAMEWORK, custom.FRAMEWORK)}
)


def find_framework(name: str) -> Framework:
    """Returns a framework by its name; raises SpecError naming near matches and what there is."""
    if name not in FRAMEWORKS:
        raise SpecError([Problem("framework", f"there is no framework {name!r}", suggest(name, FRAMEWORKS))])
    return FRAMEWORKS[name]


def find_model(framework: str, model: str) -> Model:
    """Returns a model by its framework's name and its own; raises SpecError naming near matches and what there is."""
    home = find_framework(framework)
    if model in home.models:
        return home.models[model]
    if home.any_model:
        return Model(name=model, framework=framework, task="", title=model)
    owners = [other.name for other in FRAMEWORKS.values() if model in other.models]
    cure = f"it is {owners[0]}'s: write framework: {owners[0]}" if owners else suggest(model, home.models)
    raise SpecError([Problem("model", f"{framework} has no model {model!r}", cure)])


def hyperparameter_schema(framework: str) -> dict[str, Any]:
    """Returns the JSON Schema of a framework's `hyperparameters`, with its own settings as `$defs.advanced_config`."""
    home = find_framework(framework)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{home.title}: hyperparameters",
        "type": "object",
        "properties": {key: dict(value) for key, value in home.hyperparameters.items()},
        "additionalProperties": False,
        "$defs": {
            "advanced_config": {
                "title": f"{home.title}: advanced_config",
                "type": "object",
                "properties": {
                    key: {name: item for name, item in value.items() if name != "key"}
                    for key, value in home.advanced.items()
                },
                "additionalProperties": home.any_model,
            }
        },
    }
