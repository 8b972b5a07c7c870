"""Remembers when each trainer was last heard, by this process's own clock: others' clocks may go differently."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from api.reconciler.load import OpenAttempt
from api.reconciler.nodes import Node

_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Signs:
    """What was seen of a trainer last, and since when it has been so."""

    beat: datetime | None
    """Its last heartbeat, as the API stamped it."""
    progress: str
    """Which process it is, and what the engine shows of its progress: the way to the API alone may be cut."""
    since: datetime


class Heard:
    """The last signs of life of all trainers; what was before this process began is not known."""

    def __init__(self) -> None:
        self._signs: dict[_Key, _Signs] = {}

    def look(self, attempt: OpenAttempt, train: Node, *, now: datetime) -> datetime:
        """Takes in what is seen of a running trainer; returns since when there was no new sign of life."""
        key = (attempt.job_id, attempt.number)
        beat, progress = attempt.last_heartbeat_at, f"{train.id} {train.started_at} {train.progress}"
        known = self._signs.get(key)
        if known is None or (known.beat, known.progress) != (beat, progress):
            known = self._signs[key] = _Signs(beat, progress, now)
        return known.since

    def forget(self, attempt: OpenAttempt) -> None:
        """Begins anew with the next look: the trainer does not run, or another one takes its place."""
        self._signs.pop((attempt.job_id, attempt.number), None)

    def keep_only(self, keys: set[_Key]) -> None:
        """Forgets the attempts that are not followed any more."""
        self._signs = {key: signs for key, signs in self._signs.items() if key in keys}
