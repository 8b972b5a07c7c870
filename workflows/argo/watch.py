"""Follows our workflows: LIST, then WATCH from there, LIST again when the thread is lost and every few minutes."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import threading
import time
from collections.abc import Callable

import msgspec

from workflows.argo import pages
from workflows.argo.client import Client
from workflows.argo.events import Cut, Expired, lines_of, take
from workflows.argo.identity import OURS
from workflows.argo.seen import Seen
from workflows.engine import EngineError, EngineUnavailable

RELIST_SECONDS = 300.0
WATCH_SECONDS = 240
"""After which the server ends a watch by itself, so that a connection half dead does not last."""
QUIET_SECONDS = 90.0
"""The longest silence of a watch; bookmarks come about every minute."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0
LOST_SECONDS = 15.0
"""How long without contact until what was seen last is not told as the present any more."""
FIRST_LIST_SECONDS = 30.0
"""How long whoever asks waits for the first list: a cluster is not away because it is large."""

_log = logging.getLogger(__name__)


class Watcher:
    """Keeps `seen` up to date in a thread of its own."""

    def __init__(
        self,
        client: Client,
        seen: Seen,
        *,
        clock: Callable[[], float] = time.monotonic,
        relist_seconds: float = RELIST_SECONDS,
        on_event: Callable[[str, str], None] | None = None,
    ) -> None:
        self._client = client
        self._seen = seen
        self._clock = clock
        self._relist = relist_seconds
        self._on_event = on_event
        self._version = ""
        self._listed_at: float | None = None
        self._lost_at: float | None = None
        self._trouble: EngineError | None = None
        self._socket: socket.socket | None = None
        self._began = clock()
        self._answered = threading.Event()

    @property
    def ready(self) -> bool:
        """Whether what was seen can be told as the present."""
        if self._listed_at is None:
            return False
        lost = self._lost_at
        return lost is None or self._clock() - lost < LOST_SECONDS

    def require(self) -> None:
        """Passes where what was seen can be told as the present, after a wait for the very first list.

        Raises EngineUnavailable.
        """
        if not self.ready and not self._answered.is_set():
            self._answered.wait(max(0.0, self._began + FIRST_LIST_SECONDS - self._clock()))
        if not self.ready:
            trouble = self._trouble
            raise EngineUnavailable(trouble.message if trouble else "the cluster's workflows are being listed")

    def run(self, stop: threading.Event) -> None:
        """Follows until `stop` is set; whatever breaks is begun anew, after a pause that grows."""
        pause = FIRST_PAUSE
        self._began = self._clock()
        while not stop.is_set():
            began, place = self._clock(), self._version
            in_contact = self._turn(stop)
            if in_contact and self._clock() - began > FIRST_PAUSE:
                pause = FIRST_PAUSE
                continue
            # A server that ends every watch at once is not asked a thousand times a second, and not believed either.
            if in_contact and self._version == place:
                self._version = ""
            stop.wait(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _turn(self, stop: threading.Event) -> bool:
        """Follows until something ends it; returns whether the cluster can be reached all the same."""
        try:
            self.once(stop)
        except (Cut, Expired) as error:
            # Proxies cut what they think is idle: it goes on from the same place, and is nobody's trouble.
            _log.info("the watch of workflows goes on from %s: %s", self._version or "a new list", error)
        except EngineError as error:
            if not stop.is_set():
                self._lost(error)
            return False
        except Exception:
            # An answer nobody foresaw: the next list begins anew.
            _log.exception("the watch of workflows broke and is begun anew")
            self._version = ""
            self._lost(EngineUnavailable("the watch of workflows broke"))
            return False
        return True

    def once(self, stop: threading.Event) -> None:
        """Lists where a list is due, then watches until the server ends it, the next list is due, or `stop`."""
        if not self._version or self._listed_at is None or self._clock() - self._listed_at >= self._relist:
            self.list()
        try:
            self._watch(stop)
        except Expired:
            self._version = ""
            raise

    def list(self) -> None:
        """Reads all live workflows."""
        began = self._clock()
        names: set[str] = set()
        version = ""
        for page in pages.live(self._client):
            version = page.metadata.resource_version
            for workflow in page.items or ():
                names.add(workflow.metadata.name)
                self._seen.put(workflow.kept(), listed_from=began)
        self._seen.listed(names, began=began)
        self._version, self._listed_at = version, self._clock()
        self._found()

    def cut(self) -> None:
        """Ends a watch that waits for its next line, from another thread."""
        held = self._socket
        if held is not None:
            # Gone already: then there is nothing to end.
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def _watch(self, stop: threading.Event) -> None:
        left = max(1.0, self._relist - (self._clock() - (self._listed_at or 0.0)))
        query = {
            # Never by the `completed` label: there an end would look like a deletion, without the final status.
            "labelSelector": OURS,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(int(min(WATCH_SECONDS, left))),
        }
        path = self._client.workflows()
        with self._client.stream(
            path, what="watch workflows", query=query, read_timeout=QUIET_SECONDS, allow=(pages.GONE,)
        ) as answer:
            if answer.status_code == pages.GONE:
                raise Expired("the cluster has forgotten the place")
            self._found()
            network = answer.extensions.get("network_stream")
            self._socket = network.get_extra_info("socket") if network is not None else None
            try:
                for line in lines_of(answer):
                    self._take(line)
                    if stop.is_set():
                        return
            finally:
                self._socket = None

    def _take(self, line: bytes) -> None:
        try:
            event = take(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # What it would have said is not known: the next list tells.
            self._version = ""
            raise EngineUnavailable(
                f"{self._client.who} answered something else than a watch of workflows: check the address, and what "
                "stands between"
            ) from None
        self._version = event.version
        if event.workflow is None:
            return
        if event.kind == "DELETED":
            self._seen.deleted(event.workflow)
        else:
            self._seen.put(event.workflow.kept())
        if self._on_event is not None:
            self._on_event(event.kind, event.workflow.metadata.name)

    def _found(self) -> None:
        if self._trouble is not None:
            _log.warning("in contact with the cluster again")
        self._lost_at = self._trouble = None
        self._answered.set()

    def _lost(self, error: EngineError) -> None:
        if self._trouble is None:
            _log.warning("%s", error.message)
        self._trouble = error
        self._lost_at = self._lost_at if self._lost_at is not None else self._clock()
        self._answered.set()
