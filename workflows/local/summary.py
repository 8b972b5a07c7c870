"""What is added up over all nodes: progress, conditions, labels."""

from __future__ import annotations

from workflows.local import status
from workflows.local.record import Workflow


def summarize(workflow: Workflow) -> None:
    """Brings the sums of a workflow in line with its nodes, and its version with the fact that something changed."""
    nodes = workflow.nodes
    pods = [node for node in nodes.values() if node["type"] == "Pod"]
    for node in nodes.values():
        if node["type"] in {"DAG", "Retry"}:
            found = status.below(nodes, node)
            workflow.set(node, progress=status.total(pod["progress"] for pod in found) if found else "0/1")
    workflow.set(
        workflow.status,
        progress=status.total(pod["progress"] for pod in pods),
        conditions=status.conditions(nodes, done=workflow.finished),
    )
    labels = {
        **workflow.metadata["labels"],
        status.LABEL_PHASE: workflow.status["phase"],
        status.LABEL_COMPLETED: str(workflow.finished).lower(),
    }
    workflow.set(workflow.metadata, labels=labels)
    if workflow.changed:
        workflow.metadata["resourceVersion"] = str(int(workflow.metadata["resourceVersion"]) + 1)
