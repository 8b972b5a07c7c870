"""What was seen of the pods' processes, written into their nodes."""

from __future__ import annotations

from pathlib import Path

from workflows.local import status
from workflows.local.mounts import Mounts
from workflows.local.outcome import VANISHED, outcome
from workflows.local.pods import Observation
from workflows.local.record import PodRecord, Workflow
from workflows.local.status import ERROR, FINAL, PENDING, RUNNING, SUCCEEDED, Node


def collect(
    workflow: Workflow, node: Node, record: PodRecord, seen: Observation, *, mounts: Mounts, folder: Path, now: float
) -> None:
    """Updates the node and record of one pod by a look at its process."""
    if seen.state == "running":
        _running(workflow, node, record, seen, now=now)
    elif seen.state == "exited" and seen.record is not None:
        workflow.set(node, hostNodeName=status.host_name())
        _progress(workflow, node, seen)
        ended = outcome(workflow.templates[record.template], seen.record, mounts=mounts, folder=folder)
        begun = record.started if record.started is not None else record.queued
        # The process may have ended long before anybody looked; the clock here may also be another one.
        finished = max(begun, min(now, float(seen.record["finishedAt"])))
        _over(workflow, node, record, ended.phase, ended.message, now=finished)
        workflow.set(node, outputs=ended.outputs)
    elif seen.state == "vanished":
        _over(workflow, node, record, ERROR, VANISHED, now=now)
    elif seen.state == "stillborn":
        cause = _last_line(folder / "emissary.log")
        _over(workflow, node, record, ERROR, f"the process of the pod could not be started: {cause}", now=now)
    elif seen.state == "absent" and record.stop is not None:
        _over(workflow, node, record, ERROR, VANISHED, now=now)


def _running(workflow: Workflow, node: Node, record: PodRecord, seen: Observation, *, now: float) -> None:
    if record.started is None:
        workflow.mark(record, started=now)
    if node["phase"] == PENDING:
        workflow.set(
            node, phase=RUNNING, message=record.note or None, hostNodeName=status.host_name(), taskResultSynced=False
        )
    _progress(workflow, node, seen)


def _progress(workflow: Workflow, node: Node, seen: Observation) -> None:
    progress = status.read_progress(seen.progress)
    if progress is not None:
        workflow.set(node, progress=progress)


def _over(workflow: Workflow, node: Node, record: PodRecord, phase: str, message: str | None, *, now: float) -> None:
    if node["phase"] not in FINAL:
        workflow.set(node, phase=phase, message=message or record.note or None)
        if phase == SUCCEEDED:
            workflow.set(node, progress=status.completed(node["progress"]))
    workflow.set(node, finishedAt=status.timestamp(now), taskResultSynced=True)
    workflow.mark(record, finished=now)


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it ended at once"
