"""Leaves alone what was handed to another engine, namespace or cluster than the settings lead to: it may run there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import not_, select

from api.jobs.status import TERMINAL, State
from api.models import Attempt, Event, Job
from api.reconciler.cancel import REMOVE_AFTER
from api.reconciler.load import OpenAttempt
from api.reconciler.places import cure, is_here, same, spoken
from api.reconciler.tools import Tools, note

TOLD_AT_ONCE = 500
"""Jobs that are told in one transaction."""

_Key = tuple[str, int]


class Elsewhere:
    """The attempts of other places: told of once, followed by nobody, let go of when they shall end."""

    def __init__(self) -> None:
        self._told_from: str | None = None
        self._wanted_since: dict[_Key, datetime] = {}
        self.pinned: frozenset[_Key] = frozenset()
        """Pending attempts that another place may have got: they are not handed over here."""

    def sort(
        self, tools: Tools, attempts: Iterable[OpenAttempt], *, now: datetime
    ) -> tuple[list[OpenAttempt], list[OpenAttempt]]:
        """Returns the attempts that are here, and those of other places that are to be let go of.

        One that was cancelled or has ended keeps ten minutes for settings that lead to it again, and end it.
        """
        here = tools.engine.place
        if here != self._told_from:  # at the start, and when it has become known which cluster this is
            self.pinned = _tell(tools, here, now=now)
            self._told_from = here
        ours: list[OpenAttempt] = []
        others: list[OpenAttempt] = []
        for attempt in attempts:
            (ours if same(attempt.place, here) else others).append(attempt)
        ending = [attempt for attempt in others if attempt.judged or attempt.state is State.CANCELLING]
        self._wanted_since = {(a.job_id, a.number): self._since(a, now) for a in ending}
        return ours, [a for a in ending if now - self._since(a, now) >= REMOVE_AFTER]

    def _since(self, attempt: OpenAttempt, now: datetime) -> datetime:
        return self._wanted_since.get((attempt.job_id, attempt.number), now)


def left_behind(tools: Tools, attempt: OpenAttempt, *, now: datetime) -> None:
    """Warns of a workflow that nobody has ended: only a person can now."""
    if attempt.judged and attempt.submitted and attempt.stop_reason is None and attempt.cancel_requested_at is None:
        return  # it had come to its own end
    where = spoken(attempt.place or "", tools.engine.place)
    text = f"The workflow {attempt.name} in {where} could not be ended from here: remove it there."
    with tools.database.write() as session:
        if session.get(Job, attempt.job_id) is not None:
            note(session, attempt.job_id, attempt.number, "left_behind", text, at=now, key="left_behind")


def _tell(tools: Tools, here: str, *, now: datetime) -> frozenset[_Key]:
    """Tells the owners of all that is not here, once, and returns what of it is still pending."""
    open_there = (Attempt.closed.is_(False), Attempt.number == Job.attempt, Job.state.not_in(TERMINAL))
    query = select(Job.id, Attempt.number, Attempt.workflow_name, Attempt.place, Job.state).join(
        Attempt, Attempt.job_id == Job.id
    )
    with tools.database.read() as session:
        found = session.execute(query.where(*open_there, not_(is_here(here)))).all()
    key = f"elsewhere:{here.partition('@')[0]}"
    for first in range(0, len(found), TOLD_AT_ONCE):
        some = found[first : first + TOLD_AT_ONCE]
        with tools.database.write() as session:
            told = select(Event.job_id, Event.key).where(Event.job_id.in_([row[0] for row in some]))
            known = {(row[0], row[1]) for row in session.execute(told.where(Event.event_type == "elsewhere"))}
            for job_id, number, name, place, state in some:
                if (job_id, f"{number}:{key}") not in known:
                    text = _text(name, str(place), here, pending=state == State.PENDING)
                    note(session, job_id, number, "elsewhere", text, at=now, key=key)
    return frozenset((row[0], row[1]) for row in found if row[4] == State.PENDING)


def _text(name: str, place: str, here: str, *, pending: bool) -> str:
    where, this = spoken(place, here), here.partition("@")[0]
    if pending:
        return (
            f"This job may have been handed to {where} already, and the platform now looks at {this}: it is not handed "
            f"over a second time. Cure: {cure(place, here)}, or remove workflow {name} there, then cancel the job and "
            "retry it."
        )
    return (
        f"This job runs in {where}, and the platform now looks at {this}: it goes on there, unseen. "
        f"Cure: {cure(place, here)} until it has ended, or cancel it."
    )
