"""What is known of our workflows at this moment, fed by lists and watches, read by whoever asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from workflows.argo.objects import Workflow


@dataclass(slots=True)
class _Entry:
    workflow: Workflow
    put_at: float
    asked_at: float


class Seen:
    """The newest version of each workflow, safe to use from several threads.

    What has ended and is not asked for any more is forgotten at the next list: whoever asks late reads the cluster.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._gone: dict[str, tuple[str, float]] = {}
        """The uid of each that was deleted since the last list, and when that was told."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: str) -> Workflow | None:
        """Returns a workflow as last seen."""
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return None
            entry.asked_at = self._clock()
            return entry.workflow

    def put(self, workflow: Workflow, *, listed_from: float | None = None) -> None:
        """Keeps a workflow, unless a newer version of it is known.

        What a list says that was begun later than the known version came is newer, whatever the numbers say: a cluster
        that was restored from a backup counts from there again.
        """
        name, now = workflow.metadata.name, self._clock()
        with self._lock:
            # Read just before its deletion was told: what comes late does not bring it back.
            gone = self._gone.get(name)
            if listed_from is None and gone is not None and gone[0] == workflow.metadata.uid:
                return
            known = self._entries.get(name)
            before = known is not None and listed_from is not None and known.put_at < listed_from
            if known is not None and not before and _older(workflow, known.workflow):
                return
            self._entries[name] = _Entry(workflow, now, known.asked_at if known else now)

    def drop(self, name: str) -> None:
        """Forgets a workflow, so that the next question reads the truth."""
        with self._lock:
            self._entries.pop(name, None)

    def deleted(self, last: Workflow) -> None:
        """Takes in that a workflow was deleted; one made anew below its name stays."""
        name = last.metadata.name
        with self._lock:
            self._gone[name] = (last.metadata.uid, self._clock())
            known = self._entries.get(name)
            if known is not None and known.workflow.metadata.uid == last.metadata.uid:
                del self._entries[name]

    def listed(self, names: set[str], *, began: float) -> None:
        """Takes in that a list begun at `began` held exactly these live workflows.

        One that is not in it has ended or is gone: it is forgotten, so that the next question reads the truth.
        """
        with self._lock:
            for name, entry in list(self._entries.items()):
                unasked = entry.workflow.completed and entry.asked_at < began
                missing = not entry.workflow.completed and name not in names
                if entry.put_at < began and (unasked or missing):
                    del self._entries[name]
            self._gone = {name: gone for name, gone in self._gone.items() if gone[1] >= began}


def _older(one: Workflow, other: Workflow) -> bool:
    a, b = one.metadata.resource_version, other.metadata.resource_version
    # Versions are promised to be comparable where both are numbers, as every cluster has them.
    return a.isdigit() and b.isdigit() and int(a) < int(b)
