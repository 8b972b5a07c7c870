"""Rewrites pydantic's validation errors as problems a person can act on."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workflows.problems import Problem, suggest

# Words of other systems for what we call something else.
SYNONYMS: Mapping[str, str] = types.MappingProxyType(
    {
        "batch_size": "batch",
        "bs": "batch",
        "imgsz": "image_size",
        "img_size": "image_size",
        "input_size": "image_size",
        "lr": "learning_rate",
        "lr0": "learning_rate",
        "epoch": "epochs",
        "num_epochs": "epochs",
        "gpus": "gpu",
        "cpus": "cpu",
        "mem": "memory",
        "shm": "shared_memory",
        "disk": "workspace",
        "timeout": "total",
        "dataset_id": "dataset",
        "data": "dataset",
        "task_type": "task",
        "model_name": "model",
        "hyperparams": "hyperparameters",
        "split_strategy": "split",
        "split_config": "split",
        "project_id": "project",
    }
)
KINDS = {"int": "a whole number", "float": "a number", "string": "text", "bool": "true or false"}


def explain(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Returns one problem for each thing pydantic found, under the dotted path a person would write."""
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        problem = _problem(detail, model)
        problems.setdefault(problem.field, problem)  # a union reports each of its members: the first is enough
    return list(problems.values())


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    context = detail.get("ctx", {})
    path = [str(part) for part in detail["loc"] if part not in ("int", "float", "str")]
    if detail["type"] == "told":
        path += [context["field"]] if "field" in context else []
        return Problem(".".join(path), context["message"], context["cure"])
    if detail["type"] == "extra_forbidden":
        return unknown_field(path, model)
    message, cure = _plain(detail, context, path[-1] if path else "the job")
    return Problem(".".join(path), message, cure)


def unknown_field(path: list[str], model: type[BaseModel]) -> Problem:
    """Returns the problem of a field nobody knows, with what was probably meant."""
    name, where = path[-1], path[:-1]
    owner = _owner(model, where)
    known = list(owner.model_fields) if owner else []
    meant = SYNONYMS.get(name.lower())
    cure = f"write {meant}" if meant in known else suggest(name, known)
    if where == ["hyperparameters"]:
        cure += "; what only the framework knows goes into advanced_config"
    elif meant is None or meant not in known:
        home = _elsewhere(model, name) or _elsewhere(model, meant or "")
        cure = f"move it into {home}" if home and not where else cure
    return Problem(".".join(path), "there is no such field", cure)


def _owner(model: type[BaseModel], where: list[str]) -> type[BaseModel] | None:
    owner: type[BaseModel] | None = model
    for name in where:
        field = owner.model_fields.get(name) if owner else None
        members = typing.get_args(field.annotation) or (field.annotation,) if field else ()
        owner = next((m for m in members if isinstance(m, type) and issubclass(m, BaseModel)), None)
    return owner


def _elsewhere(model: type[BaseModel], name: str) -> str | None:
    for section in model.model_fields:
        owner = _owner(model, [section])
        if owner and name in owner.model_fields:
            return f"{section}: {{{name}: …}}"
    return None


def _plain(detail: ErrorDetails, context: Mapping[str, Any], name: str) -> tuple[str, str]:
    kind, given = detail["type"], detail["input"]
    if kind == "missing":
        return "it is missing", f"add {name}: …"
    if kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than"):
        return _bound(kind, given, next(iter(context.values())))
    if kind.endswith(("_type", "_parsing", "_from_float")):
        return _wrong_type(kind, given, name)
    if kind == "literal_error":
        return f"{given!r} is not understood", f"use one of: {str(context.get('expected')).replace(chr(39), '')}"
    if kind == "finite_number":
        return f"{given!r} is not a number to work with", "give a finite number"
    if kind in ("string_too_short", "string_too_long", "too_short", "too_long"):
        return _length(kind, given, context)
    if kind == "string_pattern_mismatch":
        if name == "snapshot":
            return f"{given!r} is no snapshot's id", "see them: tiphys dataset snapshots ID"
        return f"{given!r} has characters that do not belong there", "use letters, digits and . _ - /"
    return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}", "correct the value"


def _bound(kind: str, given: Any, bound: Any) -> tuple[str, str]:
    side, words = ("less", "at most") if kind.startswith("less") else ("more", "at least")
    edge = f"{words} {bound}" if kind.endswith("equal") else f"{side} than {bound}"
    return f"{given!r} is out of range", f"give {edge}"


def _wrong_type(kind: str, given: Any, name: str) -> tuple[str, str]:
    wanted = kind.split("_", maxsplit=1)[0]
    if wanted in ("model", "dict", "mapping"):
        return f"{_shown(given)} is no mapping", f"write {name}: {{key: value, …}}"
    if wanted in ("tuple", "list"):
        return f"{_shown(given)} is no list", f"write {name}: [a, b, …]"
    what = KINDS.get(wanted, wanted)
    if wanted == "string" and isinstance(given, bool | int | float):
        return f"{_shown(given)} is not text", f'put it in quotes: "{_shown(given)}"'
    if wanted in ("int", "float") and isinstance(given, str) and _is_number(given):
        return f"{given!r} is text, not a number", f"write {given.strip()} without quotes"
    if wanted == "int" and isinstance(given, float):
        return f"{given!r} is not a whole number", "give a whole number"
    return f"{_shown(given)} is not {what}", f"give {what}"


def _length(kind: str, given: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    unit = "characters" if kind.startswith("string") else "items"
    if kind.endswith("short"):
        return "it is too short", f"give at least {context['min_length']} {unit}"
    size = len(given) if isinstance(given, str | list | tuple | dict) else "too many"
    return f"it has {size} {unit}", f"keep it to {context['max_length']}"


def _shown(given: Any) -> str:
    if isinstance(given, bool):
        return str(given).lower()
    text = repr(given) if not isinstance(given, int | float) else str(given)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
