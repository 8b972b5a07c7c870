"""Waits for the containers that Argo leaves running after a workflow's last word, and ends what outlives its grace."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workflows.argo.client import Client
from workflows.argo.objects import Workflow
from workflows.argo.pods import pods_of, remove
from workflows.engine import EngineError

LOOK_EVERY = 1.0
AFTER_GRACE = 5
"""Seconds a container gets that has outlived its grace, then SIGKILL."""
GIVE_UP_SECONDS = 180.0
"""How long pods that cannot be looked at may keep an ended workflow from being told as ended."""
GONE_SECONDS = 300.0
"""How long a pod that was removed may keep an ended workflow from being told as ended."""
MANY, KEEP_SECONDS = 1000, 3600.0
"""From so many cases on, settled ones are forgotten after an hour."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Case:
    uid: str
    since: float
    looked_at: float = float("-inf")
    settled: bool = False
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    removed: dict[str, float] = field(default_factory=dict)
    """When each pod was removed, by uid."""


class Settling:
    """Ended workflows whose containers may still run; after their grace it removes their pods.

    After Stop and Terminate Argo calls a workflow completed at once, and no longer finds the pod it would have to kill:
    the GPU stays busy, and a next attempt would write over the same checkpoints.
    """

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._cases: dict[str, _Case] = {}

    def over(self, workflow: Workflow) -> bool:
        """Tells whether nothing of a completed workflow runs any more; ends what should have ended by itself.

        Raises EngineUnavailable where the pods cannot be looked at now.
        """
        name, now = workflow.metadata.name, self._clock()
        with self._lock:
            case = self._cases.get(name)
            if case is None or case.uid != workflow.metadata.uid:
                self._prune(now)
                case = self._cases[name] = _Case(workflow.metadata.uid, since=now)
        if case.settled or now - case.looked_at < LOOK_EVERY:
            return case.settled
        case.looked_at = now
        try:
            case.settled = not self._look(name, case, now)
        except EngineError as error:
            if now - case.since < GIVE_UP_SECONDS:
                raise
            _log.warning("%s has ended, and is told so without a look at its pods: %s", name, error.message)
            case.settled = True
        return case.settled

    def facts(self, name: str) -> dict[str, dict[str, Any]]:
        """Returns what was learnt from a workflow's pods, by node id."""
        case = self._cases.get(name)
        return case.facts if case else {}

    def forget(self, name: str) -> None:
        """Forgets a workflow."""
        with self._lock:
            self._cases.pop(name, None)

    def _prune(self, now: float) -> None:
        if len(self._cases) >= MANY:
            self._cases = {n: c for n, c in self._cases.items() if not c.settled or now - c.since < KEEP_SECONDS}

    def _look(self, name: str, case: _Case, now: float) -> bool:
        running = False
        for pod in pods_of(self._client, name):
            case.facts[pod.node_id] = pod.facts()
            if pod.waits:
                # It has nothing to save, and would take a GPU for nobody once there is room for it.
                remove(self._client, pod, grace=0)
            if not pod.runs:
                continue
            late = now - case.since > pod.spec.termination_grace_period_seconds
            if late and pod.metadata.uid not in case.removed:
                _log.warning("%s runs on after its workflow has ended: it is removed", pod.metadata.name)
                remove(self._client, pod, grace=AFTER_GRACE)
                case.removed[pod.metadata.uid] = now
            if now - case.removed.get(pod.metadata.uid, now) > GONE_SECONDS:
                # Its node is out of reach: what may still run there cannot be ended from here.
                _log.warning("%s does not go: its workflow is told as ended all the same", pod.metadata.name)
                continue
            running = True
        return running
