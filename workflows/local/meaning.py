"""Whether the parts of a well-shaped Workflow fit together: templates, tasks, variables, volumes, expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from workflows.local import dag
from workflows.local.expressions import Expression, ExpressionError
from workflows.local.retry import VARIABLES
from workflows.local.variables import tags

_SAMPLES = (
    {"exitCode": "1", "status": "Failed", "duration": "3", "message": "main: Error (exit code 1)"},
    {"exitCode": "-1", "status": "Error", "duration": "0", "message": ""},
)


def problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yields what does not fit, each with its path."""
    spec = manifest["spec"]
    templates: dict[str, Mapping[str, Any]] = {}
    for template in spec["templates"]:
        if template["name"] in templates:
            yield f"spec.templates[{template['name']}] is there twice"
        templates[template["name"]] = template
    for field in ("entrypoint", "onExit"):
        if spec.get(field) and spec[field] not in templates:
            yield f"spec.{field}: there is no template {spec[field]!r}"
    volumes = {volume["name"] for volume in spec.get("volumes") or []}
    yield from _volumes("spec", spec)
    volumes |= {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or []}
    handlers = _reachable(spec.get("onExit"), templates)
    globals_known = {"workflow.name", "workflow.namespace", "workflow.uid"}
    globals_known |= {f"workflow.parameters.{name}" for name in _names((spec.get("arguments") or {}).get("parameters"))}
    for name, template in templates.items():
        path = f"spec.templates[{name}]"
        known = globals_known | ({"workflow.status", "workflow.failures"} if name in handlers else set())
        known |= {f"inputs.parameters.{item}" for item in _names((template.get("inputs") or {}).get("parameters"))}
        if ("dag" in template) == ("container" in template):
            yield f"{path} must have either dag or container"
        elif "dag" in template:
            for field in ("retryStrategy", "outputs", "activeDeadlineSeconds"):
                if template.get(field):
                    yield f"{path}.{field} is not known to it on a DAG"
            yield from _dag(path, template, templates, known)
        else:
            own = {volume["name"] for volume in template.get("volumes") or []}
            yield from _volumes(path, template)
            yield from _container(path, template, known, volumes | own)
    if spec.get("entrypoint") in templates and _circular(spec["entrypoint"], templates, ()):
        yield f"spec.entrypoint: template {spec['entrypoint']!r} contains itself"


def _volumes(path: str, holder: Mapping[str, Any]) -> Iterator[str]:
    for volume in holder.get("volumes") or []:
        kinds = [kind for kind in ("emptyDir", "persistentVolumeClaim") if volume.get(kind) is not None]
        if len(kinds) != 1:
            yield f"{path}.volumes[{volume['name']}] must be either an emptyDir or a persistentVolumeClaim"


def _container(path: str, template: Mapping[str, Any], known: set[str], volumes: set[str]) -> Iterator[str]:
    container = template["container"]
    known = known | {"pod.name", "node.name"} | ({"retries"} if template.get("retryStrategy") is not None else set())
    for tag in sorted(set(tags(container)) - known):
        yield f"{path}.container: variable {{{{{tag}}}}} is not known to it"
    if not container["command"]:
        yield f"{path}.container.command is empty: without a container image there is no entry point to fall back on"
    for mount in container.get("volumeMounts") or []:
        if mount["name"] not in volumes:
            yield f"{path}.container.volumeMounts[{mount['name']}]: there is no such volume"
    for variable in container.get("env") or []:
        if "value" in variable and variable.get("valueFrom"):
            yield f"{path}.container.env[{variable['name']}] has both value and valueFrom"
    yield from _retry(f"{path}.retryStrategy", template.get("retryStrategy") or {})


def _retry(path: str, strategy: Mapping[str, Any]) -> Iterator[str]:
    text = strategy.get("expression")
    if not text:
        return
    try:
        expression = Expression(text)
        unknown = sorted(set(expression.names) - VARIABLES)
        if unknown:
            yield f"{path}.expression: {', '.join(unknown)} is not known to it; known: {', '.join(sorted(VARIABLES))}"
            return
        for sample in _SAMPLES:
            expression.holds({f"lastRetry.{key}": value for key, value in sample.items()})
    except ExpressionError as error:
        yield f"{path}.expression: {error}"


def _dag(
    path: str, template: Mapping[str, Any], templates: Mapping[str, Mapping[str, Any]], known: set[str]
) -> Iterator[str]:
    tasks = {task["name"]: task for task in template["dag"]["tasks"]}
    if len(tasks) < len(template["dag"]["tasks"]):
        yield f"{path}.dag.tasks: two tasks have the same name"
        return
    for name, task in tasks.items():
        if task["template"] not in templates:
            yield f"{path}.dag.tasks[{name}].template: there is no template {task['template']!r}"
            return
        if task.get("depends") and task.get("dependencies"):
            yield f"{path}.dag.tasks[{name}] has both depends and dependencies"
    try:
        graph = dag.graph(template)
    except ValueError as error:
        yield f"{path}.dag.tasks: {error}"
        return
    for name, task in tasks.items():
        here = f"{path}.dag.tasks[{name}]"
        results = set(known)
        for other in dag.ancestors(graph, name):
            outputs = (templates[tasks[other]["template"]].get("outputs") or {}).get("parameters")
            results |= {f"tasks.{other}.outputs.parameters.{item}" for item in _names(outputs)}
            results |= {f"tasks.{other}.status", f"tasks.{other}.exitCode"}
        given = (task.get("arguments") or {}).get("parameters") or []
        for tag in sorted(set(tags(given)) - results):
            yield f"{here}.arguments: variable {{{{{tag}}}}} is not known to it, or not yet at that point"
        wanted = (templates[task["template"]].get("inputs") or {}).get("parameters") or []
        for item in wanted:
            if item["name"] not in _names(given) and "value" not in item and "default" not in item:
                yield f"{here}.arguments: parameter {item['name']!r} has no value"


def _names(items: Any) -> list[str]:
    return [item["name"] for item in items or []]


def _reachable(name: str | None, templates: Mapping[str, Mapping[str, Any]]) -> set[str]:
    found: set[str] = set()
    queue = [name] if name else []
    while queue:
        current = queue.pop()
        if current in found or current not in templates:
            continue
        found.add(current)
        queue.extend(task["template"] for task in (templates[current].get("dag") or {}).get("tasks") or [])
    return found


def _circular(name: str, templates: Mapping[str, Mapping[str, Any]], above: tuple[str, ...]) -> bool:
    if name in above:
        return True
    tasks = (templates.get(name, {}).get("dag") or {}).get("tasks") or []
    return any(_circular(task["template"], templates, (*above, name)) for task in tasks)
