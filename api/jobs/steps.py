"""Reads the steps of a job from its workflow's manifest and status, in Argo's own shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.jobs.schemas import StepView
from api.reconciler.nodes import EXIT_HANDLER, TITLES, Node, nodes_of, retry_of, tries_of, workflow_ended

TITLE_ANNOTATIONS = ("workflows.argoproj.io/display-name", "workflows.argoproj.io/title")


def steps_of(manifest: Mapping[str, Any] | None, status: Mapping[str, Any] | None) -> list[StepView]:
    """Returns the steps in the order of the pipeline; one that the engine has not met yet is Pending."""
    nodes = list(nodes_of(status).values())
    raw: Mapping[str, Any] = (status or {}).get("nodes") or {}
    ended = workflow_ended(status)
    return [_step(name, title, nodes, raw, ended=ended) for name, title in _titles(manifest).items()]


def _titles(manifest: Mapping[str, Any] | None) -> dict[str, str]:
    """Returns title by step name, from the DAG of the entrypoint; the usual ones where there is no manifest yet."""
    spec = (manifest or {}).get("spec") or {}
    templates = {template.get("name"): template for template in spec.get("templates", [])}
    tasks = (templates.get(spec.get("entrypoint"), {}).get("dag") or {}).get("tasks") or []
    if not tasks:
        return {name: title for name, title in TITLES.items() if name != EXIT_HANDLER}
    return {task["template"]: _title(templates.get(task["template"], {}), task["template"]) for task in tasks}


def _title(template: Mapping[str, Any], name: str) -> str:
    annotations: Mapping[str, str] = template.get("annotations") or {}
    told = next((annotations[key] for key in TITLE_ANNOTATIONS if key in annotations), None)
    return TITLES.get(name) or told or name


def _step(name: str, title: str, nodes: list[Node], raw: Mapping[str, Any], *, ended: bool) -> StepView:
    # A step with retries is a Retry node with one node for each try; one without, or one left out, is a single node.
    tries = tries_of(nodes, name)
    node = retry_of(nodes, name) or next((node for node in nodes if node.step == name), None)
    newest = tries[-1] if tries else node
    if node is None or newest is None:
        phase, message, started, finished, progress = "Omitted" if ended else "Pending", "", None, None, None
    else:
        # A Retry node only says that no more tries follow; why stands with the last try.
        phase, message = node.phase, newest.message or node.message
        started, finished = node.started_at, node.finished_at
        progress = next((raw[n.id]["progress"] for n in (newest, node) if raw.get(n.id, {}).get("progress")), None)
    return StepView(
        name=name,
        title=title,
        phase=phase,
        message=message or None,
        started_at=started,
        finished_at=finished,
        attempts=len(tries),
        progress=progress,
    )
