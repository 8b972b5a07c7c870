"""Says how an attempt ended and why: a pure function of the workflow's end, the trainer's word and a few facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.jobs.status import ERROR_TYPE_REASONS, Reason, State
from api.reconciler.causes import (
    STEP_REASONS,
    first_line,
    own_words,
    reason_in,
    split_named,
    tells_of_no_checkpoint,
    with_cure,
)
from api.reconciler.culprit import diagnose
from api.reconciler.nodes import BROKEN, EXIT_HANDLER, Node, nodes_of, retry_of, tries_of
from workflows.budgets import REFUSED, cause_of

CLOCKS_APART = timedelta(seconds=5)
"""How far the engine's clock and ours may differ."""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """All that is known about an attempt at its end; `status` is None where the workflow is gone."""

    status: Mapping[str, Any] | None
    manifest: Mapping[str, Any] | None
    primary_metric: str | None = None
    shutdown: str | None = None
    """`Stop` or `Terminate` where somebody ended the workflow."""
    cancelling: bool = False
    done: Mapping[str, Any] | None = None
    done_at: datetime | None = None
    stop_reason: str | None = None
    stop_message: str | None = None
    checkpoints: int = 0
    epoch: int | None = None
    total_epochs: int | None = None
    waited_for: str | None = None
    """What the last Pending node waited for: a stop overwrites it in the status."""
    last_words: str = ""
    """What the process that failed wrote last, where it gave no cause."""


@dataclass(frozen=True)
class Verdict:
    """How the job stands from now on; warnings are told as events."""

    state: State
    reason: Reason
    message: str
    warnings: tuple[str, ...] = ()


def verdict(ending: Ending) -> Verdict:
    """Returns how an ended attempt ended."""
    if ending.cancelling:
        return _too_late(ending) or _cancelled(ending)
    if ending.status is None:
        return _gone(ending)
    nodes = nodes_of(ending.status)
    done = _done_of_last_try(ending, nodes)
    message = str(ending.status.get("message") or "")
    stopped = ending.shutdown or _stopped_with(message)
    culprit = culprit_of(nodes)
    if _whole(ending.status, nodes):
        late = ("The workflow was ended during its report at exit; the job itself is whole.",) if stopped else ()
        return _succeeded(ending, nodes, done, late)
    if (stopped or ending.stop_reason) and not (culprit is not None and _by_itself(culprit, nodes)):
        return _stopped(ending, stopped or "Stop")
    if culprit is not None:
        return _failed(ending, culprit, nodes, done)
    return _given_up(message, nodes)


def _whole(status: Mapping[str, Any], nodes: Mapping[str, Node]) -> bool:
    """Tells whether every step succeeded, whatever became of the report at exit.

    Neither the workflow's phase nor the lack of a broken process tells that: a controller that gives up leaves its
    pods as they are, and one terminated while it waited was told as a success by Argo before 4.1.2.
    """
    tries = tries_of(nodes.values(), "train")
    if tries and tries[-1].phase != "Succeeded":
        return False
    root = next((node for node in nodes.values() if node.type == "DAG" and "." not in node.name), None)
    return (root.phase if root is not None else status.get("phase")) == "Succeeded"


def _by_itself(culprit: Node, nodes: Mapping[str, Node]) -> bool:
    """Tells whether a step had failed for good before anybody stopped the workflow, in its report at exit perhaps."""
    retry = retry_of(nodes.values(), culprit.step)
    stopped = retry is not None and retry.message.startswith("Stopped with strategy")
    goes_on = cause_of(culprit.exit_code, culprit.message) is not None
    return not stopped and not goes_on and "shutdown with strategy" not in culprit.message


def _given_up(message: str, nodes: Mapping[str, Node]) -> Verdict:
    """The verdict on a workflow that ended without a process that failed: the engine itself could not go on."""
    odd = next((n.message for n in nodes.values() if n.broken and n.message and n.type not in ("DAG", "Retry")), "")
    words = odd or message
    if message.startswith("invalid spec:") or not nodes or any(said in words for said in REFUSED):
        what = f"the engine refused the workflow: {words or 'it gave no reason'}"
        return Verdict(State.FAILED, Reason.REFUSED, with_cure(what, Reason.REFUSED))
    what = f"The engine gave up on the workflow: {first_line(words) or 'it gave no reason'}"
    return Verdict(State.FAILED, Reason.ENGINE_ERROR, with_cure(what, Reason.ENGINE_ERROR))


def _cancelled(ending: Ending) -> Verdict:
    after = f" in epoch {ending.epoch}" if ending.epoch is not None else ""
    kept = "; its checkpoints are kept, and a retry resumes from the last" if ending.checkpoints else ""
    return Verdict(State.CANCELLED, Reason.USER, f"Cancelled{after}{kept}.")


def _too_late(ending: Ending) -> Verdict | None:
    """The verdict on a cancel that came when all was done: what is there is whole, and is not thrown away."""
    if ending.status is None or (ending.done or {}).get("status") != "succeeded":
        return None
    nodes = nodes_of(ending.status)
    if not _whole(ending.status, nodes):
        return None
    return _succeeded(ending, nodes, ending.done, ("The cancel came when everything was done: the job is whole.",))


def _gone(ending: Ending) -> Verdict:
    done = ending.done or {}
    if done.get("status") == "succeeded" and ending.checkpoints:
        warning = "The workflow was deleted before its end was seen; the trainer's own report counts."
        return Verdict(State.SUCCEEDED, Reason.COMPLETED, _completed(ending), (warning,))
    if done.get("status") == "failed":
        return _by_word(ending, done, "train", ())
    if ending.stop_reason:
        return _by_us(ending, Reason(ending.stop_reason))
    what = "The workflow was deleted in the engine, not through Tiphys"
    return Verdict(State.FAILED, Reason.WORKFLOW_DELETED, with_cure(what, Reason.WORKFLOW_DELETED))


def _succeeded(
    ending: Ending, nodes: Mapping[str, Node], done: Mapping[str, Any] | None, warnings: tuple[str, ...] = ()
) -> Verdict:
    warnings += tuple(
        f"The report at exit failed ({own_words(n.message) or n.phase}); the job itself is whole."
        for n in nodes.values()
        if n.step == EXIT_HANDLER and n.broken
    )
    said = (done or {}).get("status")
    if said == "failed":
        return _by_word(ending, done or {}, "train", warnings)
    if said == "cancelled":
        what = "The trainer was told to end (SIGTERM) and did, before it had finished"
        return Verdict(State.FAILED, Reason.PREEMPTED, with_cure(what, Reason.PREEMPTED), warnings)
    if _left_early(ending, nodes):
        what = f"The pod of step train was taken away in epoch {ending.epoch} of {ending.total_epochs}, and the trainer"
        what += " ended with exit code 0 as if it had finished"
        return Verdict(State.FAILED, Reason.PREEMPTED, with_cure(what, Reason.PREEMPTED), warnings)
    if not ending.checkpoints:
        what = "All steps succeeded, but no checkpoint was saved"
        return Verdict(State.SUCCEEDED, Reason.NO_CHECKPOINT, with_cure(what, Reason.NO_CHECKPOINT), warnings)
    return Verdict(State.SUCCEEDED, Reason.COMPLETED, _completed(ending), warnings)


def _left_early(ending: Ending, nodes: Mapping[str, Node]) -> bool:
    """Tells whether a trainer took SIGTERM for its regular end: Argo calls that a success, and uploads half a training.

    A trainer that told its end itself is believed; one for which the report step told it did so after the train node.
    """
    tries = tries_of(nodes.values(), "train")
    if not tries or not tries[-1].gone or ending.epoch is None or ending.epoch >= (ending.total_epochs or 0):
        return False
    ended = tries[-1].finished_at
    return ending.done_at is None or ended is None or ending.done_at > ended + CLOCKS_APART


def _completed(ending: Ending) -> str:
    metrics = (ending.done or {}).get("final_metrics")
    name = ending.primary_metric
    value = metrics.get(name) if isinstance(metrics, Mapping) and name else None
    return f"Trained: {name} {value:.4g}." if isinstance(value, int | float) else "Trained."


def _stopped(ending: Ending, strategy: str) -> Verdict:
    if ending.stop_reason:
        return _by_us(ending, Reason(ending.stop_reason))
    reason = Reason.TERMINATED if strategy == "Terminate" else Reason.STOPPED
    what = f"The workflow was {reason} in the engine, not through Tiphys"
    if ending.waited_for:
        what += f"; before that it waited: {first_line(ending.waited_for)}"
    return Verdict(State.FAILED, reason, with_cure(what, reason))


def _by_us(ending: Ending, reason: Reason) -> Verdict:
    """The verdict that was reached before the workflow was stopped for it."""
    return Verdict(State.FAILED, reason, with_cure(ending.stop_message or "The platform stopped the workflow", reason))


def _failed(ending: Ending, culprit: Node, nodes: Mapping[str, Node], done: Mapping[str, Any] | None) -> Verdict:
    found = diagnose(culprit, nodes, ending.status or {}, ending.manifest or {})
    said = (done or {}).get("status")
    # Many programs end with 2 at a wrong argument: only one that was heard before can have had something to tell.
    heard = bool(ending.checkpoints) or ending.epoch is not None or said is not None
    untold = culprit.step == "report" or (culprit.exit_code == 2 and (culprit.step != "train" or heard))
    if untold and said == "succeeded":
        warning = f"Step {culprit.step} failed after the trainer had reported success."
        return _succeeded(ending, {}, done, (warning,))
    if found is not None and found.certain and not (untold and found.reason is Reason.TEMPORARY):
        return Verdict(State.FAILED, found.reason, with_cure(found.what, found.reason))
    if untold and said is None:
        what = f"Step {culprit.step} finished its work, but the platform could not be told"
        return Verdict(State.FAILED, Reason.REPORT_FAILED, with_cure(what, Reason.REPORT_FAILED))
    if said == "failed" and not _of_executor(done or {}, culprit.step):
        return _by_word(ending, done or {}, culprit.step, ())
    if found is not None:
        return Verdict(State.FAILED, found.reason, with_cure(found.what, found.reason))
    words = own_words(culprit.message)
    named, words = split_named(words)
    reason = named or STEP_REASONS.get(culprit.step, Reason.UNKNOWN_ERROR)
    reason = _sharpened(ending, culprit.step, reason, words or ending.last_words)
    code = f" with exit code {culprit.exit_code}" if culprit.exit_code is not None else ""
    what = f"Step {culprit.step} failed: {words}" if words else _mute(ending, f"Step {culprit.step} failed{code}")
    return Verdict(State.FAILED, reason, with_cure(what, reason))


def _mute(ending: Ending, what: str) -> str:
    return f"{what}; its last words: {ending.last_words}" if ending.last_words else f"{what} and gave no cause"


def _by_word(ending: Ending, done: Mapping[str, Any], step: str, warnings: tuple[str, ...]) -> Verdict:
    """The verdict as the trainer itself gave it."""
    text = first_line(str(done.get("error") or ""))
    named, text = split_named(text)
    text = text.removeprefix(f"{step}: ")  # the report at exit says which step it speaks of, and so do we
    reason = ERROR_TYPE_REASONS.get(str(done.get("error_type")), named or STEP_REASONS.get(step, Reason.UNKNOWN_ERROR))
    data = done.get("data")
    detail = done.get("detail") or (data.get("detail") if isinstance(data, Mapping) else None) or ""
    reason = _sharpened(ending, step, reason, f"{detail} {text}")
    what = f"Step {step} failed: {text}" if text else f"Step {step} reported a failure and gave no cause"
    return Verdict(State.FAILED, reason, with_cure(what, reason), warnings)


def _of_executor(done: Mapping[str, Any], step: str) -> bool:
    """Tells whether a report of failure holds nothing but the executor's words: the report at exit knew no others."""
    text = str(done.get("error") or "").removeprefix(f"{step}: ")
    return bool(text) and not own_words(text)


def _sharpened(ending: Ending, step: str, reason: Reason, text: str) -> Reason:
    reason = reason_in(text, reason)
    # Only where the records agree: a step that overlooks a recorded checkpoint has another fault.
    if step == "upload" and not ending.checkpoints:
        missing = reason is Reason.CHECKPOINT_ERROR or tells_of_no_checkpoint(text)
        return Reason.NO_CHECKPOINT if missing else reason
    return reason


def _done_of_last_try(ending: Ending, nodes: Mapping[str, Node]) -> Mapping[str, Any] | None:
    """The trainer's word, unless it speaks of an earlier try that was followed by another."""
    tries = tries_of(nodes.values(), "train")
    last = tries[-1] if tries else None
    if ending.done is None or ending.done.get("status") == "succeeded":
        return ending.done
    if last is not None and last.index and last.started_at and ending.done_at:
        return ending.done if ending.done_at >= last.started_at - CLOCKS_APART else None
    return ending.done


def culprit_of(nodes: Mapping[str, Node]) -> Node | None:
    """The process that made the workflow fail: the last try of the first step that broke."""
    retried = {n.step: n for n in nodes.values() if n.type == "Retry"}
    broken = [n for n in nodes.values() if n.leaf and n.broken and n.step != EXIT_HANDLER]
    broken = [n for n in broken if n.step not in retried or retried[n.step].phase in BROKEN]
    if not broken:
        return None
    first = broken[0].step
    return max((n for n in broken if n.step == first), key=lambda n: n.index or 0)


def _stopped_with(message: str) -> str | None:
    return next((s for s in ("Stop", "Terminate") if message == f"Stopped with strategy '{s}'"), None)
