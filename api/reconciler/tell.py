"""Tells what happened between two looks at a workflow: step events from comparing node phases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from api.reconciler.nodes import Node, nodes_of, retry_of, tries_of, workflow_ended

# Said by every healthy pod on its way, or by a Retry node even when no retry follows.
_ORDINARY = ("PodInitializing", "ContainerCreating", "Backoff for", "omitted:", "retryStrategy.", "No more retries")
_NOTE = "no GPU on this machine"
"""Begins what the local engine says to a step that goes on all the same."""
_INSUFFICIENT = re.compile(r"\bInsufficient ([\w./-]+\w)")
_ROOM = {"cpu": "CPU cores", "memory": "memory", "nvidia.com/gpu": "a GPU"}
RUNS_AGAIN = "runs again"
_UNBOUND = "unbound immediate PersistentVolumeClaims"


@dataclass(frozen=True, slots=True)
class StepEvent:
    """Something a step did; `once` makes it the same event if it is said again in other words' turn."""

    event_type: str
    level: str
    message: str
    data: dict[str, Any]
    once: str | None = None

    @property
    def again(self) -> bool:
        """Whether it tells of a process that runs again below the same id."""
        return self.event_type == "step_retrying" and RUNS_AGAIN in self.message


def tell(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[StepEvent]:
    """Returns what is new in `now`; comparing a status with itself tells nothing."""
    old, new = nodes_of(before), nodes_of(now)
    events = _workflow_waits(before, now)
    for node in new.values():
        was = old.get(node.id)
        if node.type == "Retry" and was is not None and was.ended and not node.ended:
            # Retried in the engine: its tries may be gone for a moment, or begin anew below.
            if not tries_of(new.values(), node.step):
                events.append(_event("step_retrying", "warning", f"{node.title} is retried in the engine", node))
            continue
        if not node.leaf:
            continue
        events += _process(was, node, new)
        retry = retry_of(new.values(), node.step)
        if retry is not None and node is tries_of(new.values(), node.step)[-1]:
            ended = _outcome(retry, new, now)
            if ended in ("Succeeded", "Failed", "Error") and ended != _outcome(old.get(retry.id), old, before or {}):
                events.append(_end(ended, node))
    return events


def _process(was: Node | None, node: Node, nodes: Mapping[str, Node]) -> list[StepEvent]:
    events: list[StepEvent] = []
    retried = retry_of(nodes.values(), node.step) is not None
    if was is None and node.index:
        previous = next((n for n in tries_of(nodes.values(), node.step) if n.index == node.index - 1), None)
        events.append(_event("step_retrying", "warning", f"{node.title} follows{_after(previous)}", node))
    left_off = was is not None and (was.ended or (was.phase == "Running" and node.phase == "Pending"))
    went_back = left_off and not node.ended
    if went_back:
        events.append(_event("step_retrying", "warning", f"{node.title} {RUNS_AGAIN}{_after(was)}", node))
    # A stopped node may get its exit code after its end: that is no start.
    if node.started and (was is None or went_back or not (was.started or was.ended)):
        events.append(_event("step_started", "info", f"{node.title} has started", node))
    if not retried and node.phase in ("Succeeded", "Failed", "Error") and (was is None or was.phase != node.phase):
        events.append(_end(node.phase, node))
    if (
        not node.ended
        and node.message
        and _worth_telling(node.message)
        and (was is None or was.message != node.message)
    ):
        waits = node.phase == "Pending" and not node.message.startswith(_NOTE)
        kind = "step_waiting" if waits else "step_note"
        words = f"{node.title} {_waiting(node.message)}" if waits else f"{node.title}: {node.message}"
        digest = sha256(node.message.encode()).hexdigest()[:16]
        events.append(_event(kind, "info", words, node, once=f"{kind}:{node.id}:{digest}"))
    return events


def _outcome(retry: Node | None, nodes: Mapping[str, Node], status: Mapping[str, Any]) -> str | None:
    """Returns how a retried step has ended, None while it goes on.

    Argo 3.7 lets the Retry node of a stopped workflow run for ever, whose last try ended after the stop.
    """
    if retry is None or retry.ended:
        return retry.phase if retry else None
    tries = tries_of(nodes.values(), retry.step)
    return tries[-1].phase if workflow_ended(status) and tries and tries[-1].ended else None


def _end(phase: str, last: Node) -> StepEvent:
    # The cause stands on the last try; the Retry node above only says that there was no other.
    if phase == "Succeeded":
        return _event("step_succeeded", "info", f"{last.title} has succeeded", last)
    cause = f": {last.message}" if last.message else ""
    return _event("step_failed", "error", f"{last.title} has failed{cause}", last)


def _workflow_waits(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[StepEvent]:
    message = str(now.get("message") or "")
    if now.get("phase") != "Pending" or not message or message == (before or {}).get("message"):
        return []
    digest = sha256(message.encode()).hexdigest()[:16]
    return [StepEvent("workflow_waiting", "info", f"The workflow waits: {message}", {}, f"workflow_waiting:{digest}")]


def _event(event_type: str, level: str, message: str, node: Node, *, once: str | None = None) -> StepEvent:
    data: dict[str, Any] = {
        "step": node.step,
        "title": node.title,
        "node": node.id,
        "phase": node.phase,
        "try": (node.index or 0) + 1,
        "exit_code": node.exit_code,
        "message": node.message,
        "started_at": node.started_at.isoformat() if node.started_at else None,
        "finished_at": node.finished_at.isoformat() if node.finished_at else None,
    }
    return StepEvent(event_type, level, message, data, once)


def _after(previous: Node | None) -> str:
    if previous is None or not previous.message:
        return ": the process before it is gone"
    return f" after: {previous.message}"


def _waiting(message: str) -> str:
    """Says what a step waits for; a cluster's words for it are the local engine's, too, and few people's."""
    lacking = [name for name in dict.fromkeys(_INSUFFICIENT.findall(message)) if name in _ROOM]
    if not lacking:
        return f"waits: {message}"
    what = " and ".join(_ROOM[name] for name in lacking)
    verb = "are" if len(lacking) > 1 or lacking == ["cpu"] else "is"
    return f"waits until {what} {verb} free, and begins by itself then ({message})"


def _worth_telling(message: str) -> bool:
    return not message.startswith(_ORDINARY) and _UNBOUND not in message
