"""Reads the steps of a job from its workflow's manifest and status, in Argo's own shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from api.jobs.schemas import StepView

TITLE_ANNOTATION = "workflows.argoproj.io/title"
STEPS: Mapping[str, str] = {
    "download": "Fetch the dataset",
    "convert": "Check and convert",
    "train": "Train",
    "upload": "Keep the results",
    "report": "Report the end",
}
"""The pipeline's steps and their titles, for a job whose manifest is not made yet."""

PODS = ("Pod", "Container", "Plugin")


def steps_of(manifest: Mapping[str, Any] | None, status: Mapping[str, Any] | None) -> list[StepView]:
    """Returns the steps in the order of the pipeline; one that the engine has not met yet is Pending."""
    nodes = list(((status or {}).get("nodes") or {}).values())
    ended = (status or {}).get("phase") in ("Succeeded", "Failed", "Error")
    return [_step(name, title, nodes, ended=ended) for name, title in _titles(manifest).items()]


def _titles(manifest: Mapping[str, Any] | None) -> dict[str, str]:
    """Returns title by step name, from the DAG of the entrypoint."""
    spec = (manifest or {}).get("spec") or {}
    templates = {template.get("name"): template for template in spec.get("templates", [])}
    tasks = (templates.get(spec.get("entrypoint"), {}).get("dag") or {}).get("tasks") or []
    if not tasks:
        return dict(STEPS)
    titles = {}
    for task in tasks:
        template = templates.get(task.get("template"), {})
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        annotations |= template.get("annotations") or {}
        titles[task["name"]] = annotations.get(TITLE_ANNOTATION) or STEPS.get(task["name"], task["name"])
    return titles


def _step(name: str, title: str, nodes: Iterable[Mapping[str, Any]], *, ended: bool) -> StepView:
    # A step with retries is a Retry node with one Pod for each try, `train(0)`, `train(1)`; one without is a Pod.
    tries = [n for n in nodes if n.get("type") in PODS and n.get("displayName", "").partition("(")[0] == name]
    named = [n for n in nodes if n.get("displayName") == name]
    node = next((n for n in named if n.get("type") == "Retry"), next(iter(named), None))
    if node is None:
        phase = "Omitted" if ended else "Pending"
        return StepView(
            name=name,
            title=title,
            phase=phase,
            message=None,
            started_at=None,
            finished_at=None,
            attempts=0,
            progress=None,
        )
    newest = max(tries, key=lambda n: n.get("startedAt") or "", default=node)
    return StepView(
        name=name,
        title=title,
        phase=node.get("phase") or "Pending",
        message=node.get("message") or newest.get("message") or None,
        started_at=_moment(node.get("startedAt")),
        finished_at=_moment(node.get("finishedAt")),
        attempts=len(tries),
        progress=newest.get("progress") or node.get("progress"),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
