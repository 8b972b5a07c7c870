"""Notices what waits to start: warns, then stops the workflow, for Argo itself waits for ever."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import select

from api.db import Database
from api.jobs.status import Reason
from api.models import Event
from api.reconciler.causes import first_line, span
from api.reconciler.decide import stop_attempt
from api.reconciler.load import OpenAttempt
from api.reconciler.nodes import EXIT_HANDLER, Node, moment
from api.reconciler.tools import Tools, note
from workflows.quantities import Duration

DEADLINE_SLACK = timedelta(minutes=2)
"""How long after its deadline a workflow may take to end by itself; clocks may differ, too."""
WORKFLOW = ""
"""The node id that stands for the workflow itself."""

# What a cluster says, and whether it may mend itself: room may come, a wrong image will not.
_PULL = re.compile(r"ErrImagePull|failed to pull|pulling from host")
_BACKOFF = re.compile(r"ImagePullBackOff")
_PASSING = re.compile(
    r"\b429\b|[Tt]oo [Mm]any [Rr]equests|\b50[0234]\b|i/o timeout|connection re(?:fused|set)|TLS handshake timeout"
)
_NO_IMAGE = re.compile(r"not found|manifest unknown|NotFound")
_QUOTED = re.compile(r"\"[^\"]*\"")  # an image's name may hold any number
_CAUSES = (
    (Reason.IMAGE_PULL, False, re.compile(r"ErrImage|ImagePullBackOff|InvalidImageName|ImageInspect")),
    (Reason.MISSING_SECRET, False, re.compile(r"secret \".*\" not found|couldn't find key .* in Secret")),
    (Reason.CONFIG_ERROR, False, re.compile(r"CreateContainer(?:Config)?Error|RunContainerError")),
    (Reason.QUOTA, True, re.compile(r"exceeded quota|too many workflows are already running")),
    (Reason.VOLUME, True, re.compile(r"(?i:persistentvolumeclaim)|Waiting for a PVC")),
    (Reason.LOCK, True, re.compile(r"Waiting for .* lock")),
    # Placed, and not begun: a large image on its way, a volume that cannot be mounted.
    (Reason.NOT_STARTED, True, re.compile(r"^(?:PodInitializing|ContainerCreating)")),
    (Reason.UNSCHEDULABLE, True, re.compile(r"")),
)


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that has not started: which node, why, and how long it has been so."""

    node: str
    what: str
    cause: str
    reason: Reason
    mends_itself: bool
    lasted: timedelta


class Waits:
    """Clocks of everything that waits; a restart finds their beginnings among the events."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._since: dict[tuple[str, str, bool], datetime] = {}
        self._kinds: dict[tuple[str, str], tuple[Reason, bool]] = {}
        self._warned: set[tuple[str, str, Reason]] = set()

    def look(
        self, attempt: OpenAttempt, status: Mapping[str, Any], nodes: Mapping[str, Node], *, now: datetime
    ) -> Wait | None:
        """Returns what has waited longest, if anything waits."""
        waiting = [
            (n.id, f"Step {n.step}", n.message)
            for n in nodes.values()
            if n.leaf and n.phase == "Pending" and n.step != EXIT_HANDLER
        ]
        if status.get("phase") == "Pending":
            waiting.append((WORKFLOW, "The workflow", str(status.get("message") or "")))
        ids = {node for node, _, _ in waiting}
        for key in [key for key in self._since if key[0] == attempt.name and key[1] not in ids]:
            del self._since[key]
        for known in [known for known in self._kinds if known[0] == attempt.name and known[1] not in ids]:
            del self._kinds[known]
        found = [self._wait(attempt, node, what, cause, now) for node, what, cause in waiting]
        return max(found, key=lambda wait: wait.lasted, default=None)

    def keep_only(self, names: set[str]) -> None:
        """Forgets the clocks of workflows that are not followed any more."""
        self._since = {key: since for key, since in self._since.items() if key[0] in names}
        self._kinds = {key: kind for key, kind in self._kinds.items() if key[0] in names}
        self._warned = {key for key in self._warned if key[0] in names}

    def to_be_told(self, attempt: OpenAttempt, wait: Wait) -> bool:
        """Tells whether a wait is one that was not warned about yet, as far as is remembered here."""
        return (attempt.name, wait.node, wait.reason) not in self._warned

    def told(self, attempt: OpenAttempt, wait: Wait) -> None:
        """Remembers that a wait is in the record: hundreds may wait, and each look at it would be a write."""
        self._warned.add((attempt.name, wait.node, wait.reason))

    def _wait(self, attempt: OpenAttempt, node: str, what: str, cause: str, now: datetime) -> Wait:
        # Between two pulls Kubernetes may say no more than that it waits for the next: then the last cause holds.
        known = self._kinds.get((attempt.name, node))
        reason, mends_itself = known if known and _BACKOFF.search(cause) and not _PULL.search(cause) else kind_of(cause)
        self._kinds[attempt.name, node] = (reason, mends_itself)
        # A clock for each kind: who waited hours for room has not waited for the image that is pulled now.
        key = (attempt.name, node, mends_itself)
        if key not in self._since:
            # Not the node's own startedAt: one that runs again below the same id keeps its first.
            self._since[key] = self._told(attempt, node, mends_itself) or now
            self._since.pop((attempt.name, node, not mends_itself), None)
        return Wait(node, what, first_line(cause), reason, mends_itself, now - self._since[key])

    def _told(self, attempt: OpenAttempt, node: str, mends_itself: bool) -> datetime | None:
        query = select(Event.event_type, Event.created_at, Event.message, Event.data).where(
            Event.job_id == attempt.job_id, Event.attempt == attempt.number, Event.kind == "step"
        )
        if node != WORKFLOW:
            query = query.where(Event.data["node"].as_string() == node)
        since = None
        with self._database.read() as session:
            for kind, at, message, data in session.execute(query.order_by(Event.id.desc())):
                if kind not in ("step_waiting", "workflow_waiting"):
                    break
                if kind_of(str(data.get("message") or message))[1] != mends_itself:
                    break
                since = at
        return since


def kind_of(cause: str) -> tuple[Reason, bool]:
    """Returns which reason a cluster's words mean, and whether what they tell of may mend itself."""
    if _PULL.search(cause) and not _NO_IMAGE.search(cause) and _PASSING.search(_QUOTED.sub("", cause)):
        return Reason.IMAGE_PULL, True
    return next((reason, mends) for reason, mends, words in _CAUSES if words.search(cause))


def act(tools: Tools, waits: Waits, attempt: OpenAttempt, wait: Wait, *, now: datetime) -> bool:
    """Warns of a wait, or decides to stop the workflow; returns whether it decided so.

    The decision stands in the record before the engine is told: a crash in between leaves it to be carried out.
    """
    settings = tools.settings
    limit = timedelta(seconds=settings.pending_limit if wait.mends_itself else settings.start_limit)
    if attempt.pending_limit:
        limit = timedelta(seconds=Duration(attempt.pending_limit).seconds)
    because = f": {wait.cause}" if wait.cause else ""
    if wait.lasted >= limit:
        text = f"{wait.what} waited {span(wait.lasted)} to start{because}"
        return stop_attempt(tools, attempt, wait.reason, text, now=now)
    warned_from = min(timedelta(seconds=settings.pending_warning), limit / 2)
    if wait.lasted >= warned_from and waits.to_be_told(attempt, wait):
        text = f"{wait.what} has waited {span(wait.lasted)} to start{because}. The job fails after {span(limit)} of it."
        # Once for each cause: Kubernetes says some in turns.
        digest = sha256(f"{wait.node} {wait.reason}".encode()).hexdigest()[:16]
        with tools.database.write() as session:
            note(session, attempt.job_id, attempt.number, "waiting", text, at=now, key=f"waiting:{digest}")
        waits.told(attempt, wait)
    return False


def past_deadline(tools: Tools, attempt: OpenAttempt, status: Mapping[str, Any], *, now: datetime) -> bool:
    """Decides to stop a workflow that should have ended by its deadline: while its pods wait, Argo does nothing."""
    started = moment(status.get("startedAt"))
    if attempt.total_limit is None or started is None or attempt.submitted_at is None:
        return False
    # By our own clock it cannot have begun before it was handed over, whatever the cluster's says.
    started = max(started, attempt.submitted_at)
    limit = timedelta(seconds=Duration(attempt.total_limit).seconds)
    if now < started + limit + DEADLINE_SLACK:
        return False
    text = f"The job took longer than its limit of {span(limit)}"
    return stop_attempt(tools, attempt, Reason.DEADLINE, text, now=now)
