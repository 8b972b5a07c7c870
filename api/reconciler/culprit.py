"""Diagnoses the process that failed from what the engine wrote about it: memory, deadlines, preemption, kills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.jobs.status import Reason
from api.reconciler.causes import first_line, own_words, reason_in
from api.reconciler.nodes import Node, moment, retry_of, tries_of
from workflows.budgets import EXECUTOR, OUTPUT_MISSING, REFUSED


@dataclass(frozen=True)
class Diagnosis:
    """What the engine's own words mean; `certain` outweighs whatever the trainer reported."""

    reason: Reason
    what: str
    certain: bool


def diagnose(
    node: Node, nodes: Mapping[str, Node], status: Mapping[str, Any], manifest: Mapping[str, Any]
) -> Diagnosis | None:
    """Returns what the engine saw happen to a failed process, or None where the process failed by itself.

    The order matters: a process killed at its deadline or for memory also has an exit code that means something else.
    """
    text = node.message
    retry = retry_of(nodes.values(), node.step)
    by_deadline = "active on the node longer" in text or text == "Step exceeded its deadline"
    if _past_workflow_deadline(node, retry, status, manifest, by_deadline=by_deadline):
        limit = _span(_spec(manifest).get("activeDeadlineSeconds"))
        return Diagnosis(Reason.DEADLINE, f"The job took longer than its limit{limit}, in step {node.step}", True)
    if by_deadline:
        limit = _span(_template(manifest, node.step).get("activeDeadlineSeconds"))
        return Diagnosis(Reason.STEP_DEADLINE, f"Step {node.step} took longer than its limit{limit}", True)
    if "EmptyDir volume" in text or "ephemeral local storage usage exceeds" in text:
        return Diagnosis(
            Reason.EPHEMERAL_STORAGE, f"Step {node.step} wrote more than its pod may: {first_line(text)}", True
        )
    if "OOMKilled" in text:
        return Diagnosis(Reason.OOM, _out_of_memory(node, manifest), True)
    if text.startswith(EXECUTOR) and OUTPUT_MISSING not in text:
        said = "could not begin" if text.startswith("init:") else "ended well, but Argo's executor could not say so"
        what = f"Step {node.step} {said}: {first_line(text)}"
        return Diagnosis(Reason.TEMPORARY, what, True)
    if text.startswith(EXECUTOR):
        return Diagnosis(Reason.UNKNOWN_ERROR, f"Step {node.step} left an output unwritten: {text}", False)
    if any(words in text for words in (*REFUSED, "errored:")):
        return Diagnosis(Reason.REFUSED, f"The engine could not start step {node.step}: {text}", True)
    if text == "timeout":
        return Diagnosis(Reason.RESOURCE_ERROR, f"Step {node.step} waited too long for its resources", True)
    if text == "pod deleted":
        return Diagnosis(Reason.PREEMPTED, f"The pod of step {node.step} was deleted", False)
    tries = len(tries_of(nodes.values(), node.step))
    often = f" after {tries} tries" if tries > 1 else ""
    if node.exit_code == 143:
        # Without "main:" the words are the kubelet's own reason for ending the pod.
        cause = own_words(text) if text else ""
        return Diagnosis(
            reason_in(cause, Reason.PREEMPTED), f"Step {node.step} was ended by SIGTERM{often}{_colon(cause)}", True
        )
    if node.exit_code == 137:
        return Diagnosis(Reason.KILLED, f"Step {node.step} was killed (SIGKILL), not for its memory", True)
    if node.exit_code == 75:
        cause = own_words(text)
        what = f"Step {node.step} failed for a temporary cause{often}{_colon(cause)}"
        return Diagnosis(reason_in(cause, Reason.TEMPORARY), what, True)
    return None


def memory_limit(manifest: Mapping[str, Any], step: str) -> str | None:
    """Returns the memory a step may use, as its template says it."""
    resources = (_template(manifest, step).get("container") or {}).get("resources") or {}
    limit = (resources.get("limits") or {}).get("memory")
    return str(limit) if limit is not None else None


def _out_of_memory(node: Node, manifest: Mapping[str, Any]) -> str:
    limit = memory_limit(manifest, node.step)
    of = f" of {limit}" if limit else ""
    lower = "lower hyperparameters.batch or image_size, the loader's workers, or raise resources.memory"
    if node.step != "train":
        lower = "use a smaller dataset or a machine with more memory"
    return f"Step {node.step} ran out of main memory and was killed at its limit{of}. Cure: {lower}"


def _past_workflow_deadline(
    node: Node,
    retry: Node | None,
    status: Mapping[str, Any],
    manifest: Mapping[str, Any],
    *,
    by_deadline: bool,
) -> bool:
    if retry is not None and retry.message.startswith("retry exceeded workflow deadline"):
        return True
    if node.message == "Step exceeded its deadline":
        return True
    started, ended = moment(status.get("startedAt")), node.finished_at
    limit = _spec(manifest).get("activeDeadlineSeconds")
    if not by_deadline or started is None or ended is None or not isinstance(limit, int):
        return False
    return ended >= _deadline(started, limit)


def _deadline(started: datetime, seconds: int) -> datetime:
    # A pod's own deadline is what the workflow has left, in whole seconds.
    return started + timedelta(seconds=seconds - 2)


def _spec(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    return manifest.get("spec") or {}


def _template(manifest: Mapping[str, Any], step: str) -> Mapping[str, Any]:
    return next((t for t in _spec(manifest).get("templates") or () if t.get("name") == step), {})


def _span(seconds: Any) -> str:
    if not isinstance(seconds, int) or seconds <= 0:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{n}{unit}" for n, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if n]
    return f" of {''.join(parts)}"


def _colon(text: str) -> str:
    return f": {text}" if text else ""
