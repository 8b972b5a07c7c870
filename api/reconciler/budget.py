"""Keeps the retries of each cause apart: an engine counts them all together, and would go on for the wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.jobs.status import Reason
from api.reconciler.causes import first_line, own_words, reason_in
from api.reconciler.nodes import EXIT_HANDLER, Node, retry_of, tries_of
from workflows.budgets import PREEMPTED_TRIES, TEMPORARY_TRIES, Cause, cause_of

TELLING = frozenset({"report", EXIT_HANDLER})
"""Steps that only tell the platform: they hold nothing, and their own count of an hour is the right one."""

_RETRIES: Mapping[Cause, int] = {"temporary": TEMPORARY_TRIES, "preempted": PREEMPTED_TRIES}
_REASONS: Mapping[Cause, Reason] = {"temporary": Reason.TEMPORARY, "preempted": Reason.PREEMPTED}
_WORDS: Mapping[Cause, str] = {"temporary": "failed for a temporary cause", "preempted": "was taken off its node"}


@dataclass(frozen=True, slots=True)
class Spent:
    """A step that used up the retries of one cause, though the engine would go on."""

    step: str
    cause: Cause
    times: int
    words: str
    """What the last of these tries said."""

    @property
    def reason(self) -> Reason:
        """Sharpened by the words: a full disk passes for temporary."""
        return reason_in(self.words, _REASONS[self.cause])

    @property
    def message(self) -> str:
        """One sentence for the record."""
        because = f": {self.words}" if self.words else ""
        return f"Step {self.step} {_WORDS[self.cause]} {self.times} times, the last of its tries{because}"


def spent(nodes: Mapping[str, Node]) -> Spent | None:
    """Returns the step that an engine still retries and should not; None while each has retries left."""
    for step in {node.step for node in nodes.values()} - TELLING:
        retry = retry_of(nodes.values(), step)
        if retry is None or retry.ended:
            continue
        broken = [node for node in tries_of(nodes.values(), step) if node.broken]
        for cause, retries in _RETRIES.items():
            of_cause = [node for node in broken if cause_of(node.exit_code, node.message) == cause]
            if len(of_cause) > retries:
                words = first_line(own_words(of_cause[-1].message))
                return Spent(step, cause, len(of_cause), words)
    return None
