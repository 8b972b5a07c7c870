"""What Argo's field definitions do not say and its controller refuses, or worse, accepts: names, edges, references."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
TEMPLATE_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,62}")
DISPLAY_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-.]{0,61}[a-zA-Z0-9]")
REFERENCE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
DEPENDS_WORD = re.compile(r"([A-Za-z0-9_-]+)(?:\.([A-Za-z]+))?")
RESULTS = frozenset({"Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed"})
KINDS = ("container", "containerSet", "dag", "data", "http", "plugin", "resource", "script", "steps", "suspend")

ALWAYS = re.compile(
    r"workflow\.(name|namespace|uid|serviceAccountName|mainEntrypoint)|"
    r"workflow\.(creationTimestamp(\..+)?|priority|duration|scheduledTime|labels\..+|labels\.json|annotations\..+|parameters)|pod\.name|node\.name|steps\.name"
)
TASK_WORDS = ("status", "id", "ip", "exitCode", "startedAt", "finishedAt", "outputs.result")
AT_EXIT = frozenset({"workflow.status", "workflow.failures"})


def rule_faults(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yields one sentence for every rule a manifest breaks; its fields are taken to be of the right types."""
    spec, name = manifest["spec"], manifest["metadata"].get("name")
    if manifest.get("apiVersion") != "argoproj.io/v1alpha1" or manifest.get("kind") != "Workflow":
        yield f"kind: {manifest.get('apiVersion')} {manifest.get('kind')} is not argoproj.io/v1alpha1 Workflow"
    if name is None and not manifest["metadata"].get("generateName"):
        yield "metadata.name: it is missing"
    if name is not None and not NAME.fullmatch(name):
        yield f"metadata.name: {name!r} is no name: at most 63 lower-case letters, digits and '-', not at either end"
    if spec.get("retryStrategy") or (spec.get("templateDefaults") or {}).get("retryStrategy"):
        yield "spec.retryStrategy: it would retry the whole DAG as well: give each step its own"
    templates = {template.get("name"): template for template in spec.get("templates") or []}
    for double in _doubles([template.get("name") for template in spec.get("templates") or []]):
        yield f"spec.templates[{double}]: there are two templates of this name"
    for field in ("entrypoint", "onExit"):
        if spec.get(field) is not None and spec[field] not in templates:
            yield f"spec.{field}: there is no template {spec[field]!r}; there is: {', '.join(map(str, templates))}"
    if spec.get("entrypoint") is None and not spec.get("workflowTemplateRef"):
        yield "spec.entrypoint: it is missing"
    for template in templates.values():
        yield from _template(template, templates, spec)


def _template(template: Mapping[str, Any], templates: Mapping[Any, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    where = f"spec.templates[{template.get('name')}]"
    if not TEMPLATE_NAME.fullmatch(str(template.get("name") or "")):
        yield f"{where}: it needs a name of at most 63 letters, digits and '-'"
    kinds = [kind for kind in KINDS if kind in template]
    if len(kinds) != 1:
        yield f"{where}: it must be one of {', '.join(KINDS)}, and is {' and '.join(kinds) or 'none'}"
    shown = (template.get("annotations") or {}).get("workflows.argoproj.io/display-name")
    if shown is not None and "{{" not in shown and not DISPLAY_NAME.fullmatch(shown):
        yield f"{where}.annotations: {shown!r} cannot be a display name: 2 to 63 letters, digits, '-' and '.'"
    if "container" in template:
        yield from _container(template["container"], where, template, spec)
    if ((template.get("retryStrategy") or {}).get("backoff") or {}).get("maxDuration"):
        yield f"{where}.retryStrategy.backoff.maxDuration: it counts the running time too: leave it out"
    tasks = (template.get("dag") or {}).get("tasks") or []
    yield from _tasks(tasks, where, templates)
    yield from _references(template, where, spec, tasks)


def _container(
    container: Mapping[str, Any], where: str, template: Mapping[str, Any], spec: Mapping[str, Any]
) -> Iterator[str]:
    if not container.get("command"):
        yield f"{where}.container.command: it is missing: Argo would ask the image's registry for it"
    for double in _doubles([variable.get("name") for variable in container.get("env") or []]):
        yield f"{where}.container.env[{double}]: the variable stands there twice"
    volumes = [volume.get("name") for volume in (spec.get("volumes") or []) + (template.get("volumes") or [])]
    volumes += [(claim.get("metadata") or {}).get("name") for claim in spec.get("volumeClaimTemplates") or []]
    for mount in container.get("volumeMounts") or []:
        if mount.get("name") not in volumes:
            yield f"{where}.container.volumeMounts[{mount.get('name')}]: there is no such volume"
    for double in _doubles([mount.get("mountPath") for mount in container.get("volumeMounts") or []]):
        yield f"{where}.container.volumeMounts: two volumes are mounted at {double}"


def _tasks(tasks: list[Mapping[str, Any]], where: str, templates: Mapping[Any, Any]) -> Iterator[str]:
    names = [task.get("name") for task in tasks]
    for double in _doubles(names):
        yield f"{where}.dag.tasks[{double}]: there are two tasks of this name"
    edges: dict[str, list[str]] = {}
    for task in tasks:
        at = f"{where}.dag.tasks[{task.get('name')}]"
        if task.get("template") is not None and task["template"] not in templates:
            yield f"{at}.template: there is no template {task['template']!r}"
        if "depends" in task and "dependencies" in task:
            yield f"{at}: depends and dependencies exclude each other"
        needed = list(task.get("dependencies") or [])
        for name, result in DEPENDS_WORD.findall(task.get("depends") or ""):
            needed.append(name)
            if result and result not in RESULTS:
                yield f"{at}.depends: {result!r} is no result of a task; there is: {', '.join(sorted(RESULTS))}"
        for name in needed:
            if name not in names:
                yield f"{at}.depends: there is no task {name!r}; there is: {', '.join(map(str, names))}"
        edges[str(task.get("name"))] = needed
    if circle := _circle(edges):
        yield f"{where}.dag.tasks: they wait for each other: {' → '.join(circle)}"


def _circle(edges: Mapping[str, list[str]]) -> list[str]:
    done: set[str] = set()
    for start in edges:
        path: list[str] = []
        pending = [(start, False)]
        while pending:
            name, leaving = pending.pop()
            if leaving:
                done.add(path.pop())
            elif name in path:
                return [*path[path.index(name) :], name]
            elif name not in done:
                path.append(name)
                pending.append((name, True))
                pending += [(needed, False) for needed in edges.get(name, ())]
    return []


def _references(
    template: Mapping[str, Any], where: str, spec: Mapping[str, Any], tasks: list[Mapping[str, Any]]
) -> Iterator[str]:
    known = set(AT_EXIT if template.get("name") == spec.get("onExit") else ())
    known |= {f"workflow.parameters.{name}" for name in _names(spec.get("arguments"), "parameters")}
    known |= {f"inputs.parameters.{name}" for name in _names(template.get("inputs"), "parameters")}
    known |= {f"inputs.artifacts.{name}.path" for name in _names(template.get("inputs"), "artifacts")}
    known |= {"retries"} if template.get("retryStrategy") else set()
    known |= {"item"} if any(task.keys() & {"withItems", "withParam", "withSequence"} for task in tasks) else set()
    # Globals live in the outputs of other templates: `globalName` makes them visible everywhere.
    for other in spec.get("templates") or []:
        for output in (other.get("outputs") or {}).get("parameters") or []:
            if output.get("globalName"):
                known.add(f"workflow.outputs.parameters.{output['globalName']}")
    known |= _task_outputs(tasks, spec)
    for text in _texts({key: value for key, value in template.items() if key != "name"}):
        for match in REFERENCE.finditer(text):
            reference = match[1].strip()
            if reference.startswith("="):
                continue  # an expression: read by Argo's own engine
            if reference in known or reference.startswith("item.") or ALWAYS.fullmatch(reference):
                continue
            yield f"{where}: {{{{{reference}}}}} refers to nothing that is known there"


def _task_outputs(tasks: list[Mapping[str, Any]], spec: Mapping[str, Any]) -> set[str]:
    by_name = {template.get("name"): template for template in spec.get("templates") or []}
    found: set[str] = set()
    for task in tasks:
        base = f"tasks.{task.get('name')}"
        found |= {f"{base}.{word}" for word in TASK_WORDS}
        outputs = (by_name.get(task.get("template")) or {}).get("outputs")
        found |= {f"{base}.outputs.parameters.{name}" for name in _names(outputs, "parameters")}
        found |= {f"{base}.outputs.artifacts.{name}" for name in _names(outputs, "artifacts")}
    return found


def _names(holder: Mapping[str, Any] | None, kind: str) -> list[str]:
    return [entry["name"] for entry in (holder or {}).get(kind) or []]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _doubles(names: list[Any]) -> list[Any]:
    return [name for name, count in Counter(names).items() if count > 1]
