"""Stop, terminate and deadlines, as they meet the pods of a workflow."""

from __future__ import annotations

from workflows.local import status
from workflows.local.record import PodRecord, Workflow
from workflows.local.status import FAILED, FINAL, Node

DEADLINE_MESSAGE = "Step exceeded its deadline"


def enforce(workflow: Workflow, *, now: float) -> None:
    """Applies the shutdown and the deadlines in force to every pod that is not over."""
    for key, record in workflow.pods.items():
        if record.over:
            continue
        node = workflow.nodes[key]
        if _shut(workflow, record):
            message = f"workflow shutdown with strategy:  {workflow.shutdown}"
            if not record.launched:
                _fail(workflow, node, record, message, now=now)
            elif node["phase"] not in FINAL:
                workflow.set(node, phase=FAILED, message=message, taskResultSynced=False)
                workflow.mark(record, stop="shutdown")
                # What would come after a step that was cut off is not even listed.
                workflow.cut = workflow.cut or not record.exit_handler
        elif _late(workflow, record, now):
            if record.launched:
                workflow.mark(record, stop=record.stop or "deadline")
            else:
                _fail(workflow, node, record, DEADLINE_MESSAGE, now=now)
        elif record.started is not None:
            allowed = workflow.templates[record.template].get("activeDeadlineSeconds")
            if allowed is not None and now >= record.started + allowed:
                workflow.mark(record, stop=record.stop or "deadline")


def refuse_pod(workflow: Workflow, node: Node, record: PodRecord, *, now: float) -> None:
    """Fails a pod that was just made where a shutdown or the deadline lets it not begin any more."""
    if _shut(workflow, record):
        _fail(workflow, node, record, f"workflow shutdown with strategy: {workflow.shutdown}", now=now)
    elif _late(workflow, record, now):
        _fail(workflow, node, record, DEADLINE_MESSAGE, now=now)


def remaining(workflow: Workflow, record: PodRecord, now: float) -> float | None:
    """Returns the seconds a pod that begins now may run, or None for no end."""
    limits: list[float] = []
    own = workflow.templates[record.template].get("activeDeadlineSeconds")
    if own is not None:
        limits.append(float(own))
    if workflow.deadline is not None and not record.exit_handler:
        limits.append(max(0.0, workflow.deadline - now))
    return min(limits, default=None)


def _shut(workflow: Workflow, record: PodRecord) -> bool:
    return workflow.shutdown is not None and (workflow.shutdown == "Terminate" or not record.exit_handler)


def _late(workflow: Workflow, record: PodRecord, now: float) -> bool:
    return workflow.deadline is not None and now >= workflow.deadline and not record.exit_handler


def _fail(workflow: Workflow, node: Node, record: PodRecord, message: str, *, now: float) -> None:
    workflow.set(node, phase=FAILED, message=message, finishedAt=status.timestamp(now))
    workflow.mark(record, finished=now)
