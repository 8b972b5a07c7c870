"""Checks a request against the catalogue and itself: all that no single field can know."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from workflows.catalog import FRAMEWORKS, Framework, Model, find_model
from workflows.keys import segment
from workflows.problems import Problem, SpecError, near, suggest
from workflows.quantities import Duration, Memory
from workflows.tasks import TASKS, canonical_task
from workflows.values import fault, kindly

SECTIONS = ("hyperparameters", "split", "primary_metric", "resources", "limits")
TEXTS = ("name", "project", "framework", "model", "dataset", "snapshot", "convert", "image")
LABEL_KEY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MOST_LABELS = 32

# Words by which a split leaves it to the dataset.
USE_DATASET = frozenset({"use_dataset", "use_default", "dataset", "none"})
# Targets that hold the annotations of some tasks alone.
TARGET_TASKS = {
    "imagefolder": ("image_classification",),
    "masks": ("semantic_segmentation", "instance_segmentation", "panoptic_segmentation"),
}

T = TypeVar("T", Memory, Duration)

# ultralytics' names for what a job says in its own words: found in advanced_config, they belong elsewhere.
HOMES = {
    "epochs": "hyperparameters.epochs",
    "batch": "hyperparameters.batch",
    "imgsz": "hyperparameters.image_size",
    "lr0": "hyperparameters.learning_rate",
    "learning_rate": "hyperparameters.learning_rate",
    "optimizer": "hyperparameters.optimizer",
    "seed": "hyperparameters.seed",
    "device": "resources.gpu",
    "model": "model",
    "task": "task",
    "data": "dataset",
    "name": "name",
    "project": "project",
    "time": "limits.total",
}


def normalised(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a request in one vocabulary: parts as mappings, empty fields dropped, names in their one spelling."""
    request = {key: _plain(value) for key, value in given.items() if value is not None}
    for section in SECTIONS:
        if isinstance(request.get(section), Mapping):
            request[section] = {key: value for key, value in request[section].items() if value is not None}
    for key in TEXTS:
        if isinstance(request.get(key), str):
            request[key] = request[key].strip()
    framework, model = request.get("framework"), request.get("model")
    if isinstance(framework, str):
        if "/" in framework and model is None:
            framework, _, model = framework.partition("/")
            request["model"] = model
        request["framework"] = _spelling(framework, FRAMEWORKS)
        home = FRAMEWORKS.get(request["framework"])
        if home and isinstance(model, str):
            request["model"] = _spelling(model, home.models)
        advanced = request.get("advanced_config")
        if home and isinstance(advanced, Mapping):
            request["advanced_config"] = {
                key: kindly(home.advanced.get(key, {}), value) for key, value in advanced.items()
            }
    if isinstance(request.get("task"), str):
        request["task"] = canonical_task(request["task"]) or request["task"]
    return request


def check_request(request: Mapping[str, Any]) -> list[Problem]:
    """Returns everything wrong with a normalised request that its fields' types do not show."""
    problems = [*_texts(request), *_labels(request), *_json(request.get("advanced_config"), "advanced_config")]
    problems += [*_amounts(request), *_snapshot(request)]
    name = request.get("framework")
    home = FRAMEWORKS.get(name) if isinstance(name, str) else None
    if home is None:
        if isinstance(name, str):
            problems.append(Problem("framework", f"there is no framework {name!r}", suggest(name, FRAMEWORKS)))
        return problems
    problems += [*_own_program(request, home), *_gpus(request, home)]
    model = _model(request, home, problems)
    task = _task(request, home, model, problems)
    problems += _convert(request, home, task)
    problems += _hyperparameters(request, home)
    problems += _advanced(request, home)
    problems += _metric(request, home, task)
    return problems


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else value


def _spelling(name: str, known: Mapping[str, Any]) -> str:
    return next((word for word in known if word.casefold() == name.casefold()), name)


def _texts(request: Mapping[str, Any]) -> Iterator[Problem]:
    command = request.get("command")
    words = {key: request.get(key) for key in TEXTS}
    words |= {f"command.{n}": word for n, word in enumerate(command)} if isinstance(command, list | tuple) else {}
    for field, text in words.items():
        if not isinstance(text, str):
            continue
        if "{{" in text:
            yield Problem(field, "'{{' begins a reference that the workflow would replace", "write it without '{{'")
        elif re.search(r"[\x00-\x1f\x7f]", text) and (not field.startswith("command") or "\x00" in text):
            yield Problem(field, "it has a line break or another control character", "keep it to one line of text")
        elif field.startswith("command") and (match := re.search(r"(?<!\$)\$\(([A-Z_][A-Z0-9_]*)\)", text)):
            cure = f"let a shell read it: [sh, -c, '… ${match[1]} …']"
            yield Problem(field, f"{match[0]} is replaced in a cluster and not on this machine", cure)
    project = request.get("project")
    if isinstance(project, str) and "{{" not in project:
        try:
            segment(project)
        except ValueError:
            cure = "use letters, digits, '.', '_' and '-', beginning with a letter or digit"
            yield Problem("project", f"{project!r} cannot stand in the checkpoints' path", cure)


def _labels(request: Mapping[str, Any]) -> Iterator[Problem]:
    labels = request.get("labels")
    if not isinstance(labels, Mapping):
        return
    if len(labels) > MOST_LABELS:
        yield Problem("labels", f"there are {len(labels)}", f"keep it to {MOST_LABELS}")
    for key, value in labels.items():
        if not isinstance(key, str) or not LABEL_KEY.fullmatch(key):
            cure = "use letters, digits, '.', '_' and '-', at most 63, beginning and ending with a letter or digit"
            yield Problem(f"labels.{key}", f"{key!r} cannot name a label", cure)
        elif isinstance(value, str) and (len(value) > 200 or "{{" in value or re.search(r"[\x00-\x1f\x7f]", value)):
            yield Problem(
                f"labels.{key}",
                "its value is too long or more than one line",
                "keep it to 200 characters, without '{{'",
            )


def _json(value: Any, path: str) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _json(item, f"{path}.{key}")
            else:
                yield Problem(f"{path}.{key}", f"the key {key!r} is not text", f'put it in quotes: "{key}"')
    elif isinstance(value, list | tuple):
        for n, item in enumerate(value):
            yield from _json(item, f"{path}.{n}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, f"{value} is not a number to work with", "give a finite number")
    elif value is not None and not isinstance(value, str | int | float):
        yield Problem(
            path,
            f"a {type(value).__name__} cannot be handed to a trainer",
            "use text, numbers, true, false, lists and mappings",
        )


def _amounts(request: Mapping[str, Any]) -> Iterator[Problem]:
    resources, limits = request.get("resources"), request.get("limits")
    if isinstance(resources, Mapping):
        memory, shared = (_parsed(Memory, resources.get(key)) for key in ("memory", "shared_memory"))
        if memory and shared and shared.bytes > memory.bytes:
            message = f"{shared} is more than the memory it is taken from, {memory}"
            yield Problem("resources.shared_memory", message, f"ask for at most {memory}, or for more memory")
    if isinstance(limits, Mapping):
        total = _parsed(Duration, limits.get("total"))
        for key in ("train", "no_heartbeat"):
            part = _parsed(Duration, limits.get(key))
            if total and part and part.seconds > total.seconds:
                message = f"{part} is longer than the whole job may take, {total}"
                yield Problem(f"limits.{key}", message, f"give at most {total}")


def _snapshot(request: Mapping[str, Any]) -> Iterator[Problem]:
    split = request.get("split")
    method = split.get("method") if isinstance(split, Mapping) else None
    if request.get("snapshot") and split and not (isinstance(method, str) and method.lower() in USE_DATASET):
        yield Problem("split", "the snapshot says which image trains and which validates", "leave it out")


def _convert(request: Mapping[str, Any], home: Framework, task: str | None) -> Iterator[Problem]:
    wanted = request.get("convert")
    if wanted is None:
        return
    if home.image is not None:
        yield Problem("convert", f"framework {home.name} brings its own", "leave it out, or write framework: custom")
    elif wanted in TARGET_TASKS and task is not None and task not in TARGET_TASKS[wanted]:
        cure = f"write task: {TARGET_TASKS[wanted][0]}, or another target"
        yield Problem("convert", f"{wanted} cannot hold what {task} needs", cure)


def _gpus(request: Mapping[str, Any], home: Framework) -> Iterator[Problem]:
    resources = request.get("resources")
    asked = resources.get("gpu") if isinstance(resources, Mapping) else None
    if home.most_gpus is not None and isinstance(asked, int) and asked > home.most_gpus:
        message = f"{home.name} trains on {home.most_gpus} GPU a job, and this asks for {asked}"
        yield Problem("resources.gpu", message, f"ask for at most {home.most_gpus}")


def _parsed(kind: type[T], value: Any) -> T | None:
    try:
        return kind.parse(value)
    except PydanticCustomError:
        return None  # told already, by the field itself


def _own_program(request: Mapping[str, Any], home: Framework) -> Iterator[Problem]:
    for field, example in (("image", "registry.example/team/trainer:1"), ("command", "[python, train.py]")):
        given = request.get(field)
        if home.image is None and not given:
            yield Problem(field, f"framework {home.name} needs it", f"add {field}: {example}")
        if home.image is not None and given is not None:
            cure = f"leave it out, or write framework: custom to run your own {field}"
            yield Problem(field, f"framework {home.name} brings its own", cure)
    image = request.get("image")
    if home.image is None and isinstance(image, str) and re.search(r"\s", image):
        yield Problem("image", f"{image!r} is no image name", "write for example registry.example/team/trainer:1")


def _model(request: Mapping[str, Any], home: Framework, problems: list[Problem]) -> Model | None:
    name = request.get("model")
    if name is None:
        if home.any_model or len(home.models) == 1:
            return next(iter(home.models.values()), None)
        problems.append(
            Problem(
                "model",
                "it is missing",
                f"add model: {next(iter(home.models))}, or another of {', '.join(home.models)}",
            )
        )
        return None
    if not isinstance(name, str) or "{{" in name:
        return None
    if home.any_model:
        if not MODEL_NAME.fullmatch(name):
            problems.append(Problem("model", f"{name!r} cannot name a model", "use letters, digits, '.', '_' and '-'"))
        return None
    try:
        return find_model(home.name, name)
    except SpecError as error:
        problems += error.problems
        return None


def _task(request: Mapping[str, Any], home: Framework, model: Model | None, problems: list[Problem]) -> str | None:
    task = request.get("task")
    if task is None or not isinstance(task, str):
        return model.task if model else (None if task else "object_detection")
    if task not in TASKS:
        problems.append(Problem("task", f"there is no task {task!r}", suggest(task, TASKS)))
        return None
    if task not in home.tasks:
        problems.append(Problem("task", f"{home.name} does not train {task}", f"use one of: {', '.join(home.tasks)}"))
    elif model and model.task != task:
        problems.append(
            Problem(
                "task", f"{model.name} is for {model.task}, not {task}", f"write task: {model.task}, or leave it out"
            )
        )
    return task


def _hyperparameters(request: Mapping[str, Any], home: Framework) -> Iterator[Problem]:
    given = request.get("hyperparameters")
    if not isinstance(given, Mapping):
        return
    for key, value in given.items():
        field = f"hyperparameters.{key}"
        schema = home.hyperparameters.get(key)
        if schema is None:
            if any(key in other.hyperparameters for other in FRAMEWORKS.values()):
                cure = f"leave it out: {home.name} takes {', '.join(home.hyperparameters)}"
                yield Problem(field, f"{home.name} does not use it", cure)
            elif key in home.advanced:
                yield Problem(field, f"it is {home.name}'s own setting", f"write advanced_config: {{{key}: {value}}}")
        elif found := fault(schema, value):
            yield Problem(field, *found)
    if given.get("optimizer") == "auto" and "learning_rate" in given and home.name == "ultralytics":
        message = "with optimizer auto the framework chooses it and would ignore yours"
        yield Problem(
            "hyperparameters.learning_rate", message, "name an optimizer, e.g. AdamW, or leave learning_rate out"
        )


def _advanced(request: Mapping[str, Any], home: Framework) -> Iterator[Problem]:
    given = request.get("advanced_config")
    if home.any_model or not isinstance(given, Mapping):
        return
    for key, value in given.items():
        field, schema = f"advanced_config.{key}", home.advanced.get(key)
        if schema is not None:
            if found := fault(schema, value):
                yield Problem(field, *found)
        elif key in HOMES:
            yield Problem(field, f"{home.name}'s {key} is set by the job itself", f"set {HOMES[key]} instead")
        elif not home.advanced:
            yield Problem(field, f"{home.name} has no settings of its own", "leave it out")
        elif isinstance(key, str):
            matches = near(key, home.advanced)
            hint = f"did you mean {' or '.join(matches)}? " if matches else ""
            cure = f"{hint}Known: {', '.join(home.advanced)}"
            yield Problem(field, f"{home.name} has no setting {key!r} that a job may set", cure)


def _metric(request: Mapping[str, Any], home: Framework, task: str | None) -> Iterator[Problem]:
    given = request.get("primary_metric")
    known = {metric.name: metric for metric in home.metrics.get(task or "", ())}
    name = given.get("name") if isinstance(given, Mapping) else None
    if known and isinstance(name, str) and name not in known:
        yield Problem("primary_metric.name", f"{home.name} does not report {name!r}", suggest(name, known))
