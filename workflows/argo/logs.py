"""Reads pods' output from a byte offset, which Kubernetes itself cannot: it only knows moments."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from workflows.argo.client import Client
from workflows.argo.lines import Line, Moment, lines
from workflows.engine import LOG_CHUNK_BYTES, EngineUnavailable

CONTAINER = "main"
READ_TIMEOUT = 10.0
ASK_EVERY = 2.0
"""Seconds between two questions for a log that had no more: each goes through to the pod's node."""
ASK_PER_SECOND = 10.0
"""Such questions in all: many running pods are each asked less often, so that a look at them stays short."""
BURST = 20.0
"""So many at once, when a fresh process meets all of them."""
OUT_OF_REACH_SECONDS = 10.0
"""How long a log that could not be read is not asked for: each try at a dead node takes its whole timeout."""
NOT_YET, MISSING = 400, 404
LATELY_SECONDS = 60.0
MANY, KEEP_SECONDS = 1000, 3600.0
"""From so many pods on, those not asked about for an hour are forgotten."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the last reading stopped: so many bytes handed out, the last of them written at this moment."""

    offset: int
    at: Moment | None
    looked_at: float
    end: bool
    """Whether there was no more."""
    over: bool
    """Whether its node had ended by then."""
    handed: bool
    """Whether that reading brought something: the next one is the reader's way to hear that there is no more."""


class Logs:
    """The logs of all pods; it remembers where each reading stopped, and finds the place again without."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._running: dict[str, float] = {}
        """Pods that were asked about lately while they ran."""
        self._out_of_reach: dict[str, tuple[float, EngineUnavailable]] = {}
        self._pruned_at = self._turned_at = clock()
        self._turns = BURST

    def read(self, pod: str, offset: int, *, over: bool, in_turn: bool = False) -> bytes:
        """Returns a pod's output from byte `offset`, whole lines, at most `LOG_CHUNK_BYTES`.

        `over` says that the container writes no more: then the last line counts without its end, too. `in_turn` says
        that it may be left for later where many are asked about.
        """
        now = self._clock()
        self._called(pod, now, over=over)
        place = self._places.get(pod)
        if place is not None and place.offset != offset:
            place = None
        if place is not None and place.end and self._nothing_new(pod, place, now, over=over):
            return b""
        until, trouble = self._out_of_reach.get(pod, (0.0, None))
        if trouble is not None and now < until:
            raise trouble
        if in_turn and not self._has_turn(now):
            return b""
        try:
            return self._ask(pod, offset, place, over=over)
        except EngineUnavailable as error:
            self._out_of_reach[pod] = (self._clock() + OUT_OF_REACH_SECONDS, error)
            raise

    def _nothing_new(self, pod: str, place: _Place, now: float, *, over: bool) -> bool:
        if over and place.over:
            # A container may write on for its grace after its node has ended: only the reader's own loop is spared.
            if place.handed:
                self._keep(pod, replace(place, handed=False))
            return place.handed
        return not over and now - place.looked_at < max(ASK_EVERY, len(self._running) / ASK_PER_SECOND)

    def _ask(self, pod: str, offset: int, place: _Place | None, *, over: bool) -> bytes:
        query = {"container": CONTAINER, "timestamps": "true"}
        after = place.at if place is not None else None
        if after is not None:
            query["sinceTime"] = after.since()
        what = f"read the log of pod {pod}"
        path = f"{self._client.pods(pod)}/log"
        with self._client.stream(
            path, what=what, query=query, read_timeout=READ_TIMEOUT, allow=(NOT_YET, MISSING)
        ) as answer:
            # Not started yet, or gone for good: either way there is nothing to be had now.
            if not answer.is_success:
                answer.read()  # else the connection could not be used again
                self._keep(pod, _Place(offset, after, self._clock(), end=True, over=over, handed=False))
                return b""
            skip = 0 if after is not None else offset
            taken = _take(lines(answer.iter_bytes()), after=after, skip=skip, over=over)
        at = None if taken.cut else taken.at or after
        handed = bool(taken.content)
        self._keep(pod, _Place(offset + len(taken.content), at, self._clock(), taken.end, over, handed))
        return taken.content

    def _keep(self, pod: str, place: _Place) -> None:
        with self._lock:
            if len(self._places) >= MANY and pod not in self._places:
                oldest = place.looked_at - KEEP_SECONDS
                self._places = {name: known for name, known in self._places.items() if known.looked_at > oldest}
            self._places[pod] = place
            self._out_of_reach.pop(pod, None)

    def _has_turn(self, now: float) -> bool:
        with self._lock:
            self._turns = min(BURST, self._turns + (now - self._turned_at) * ASK_PER_SECOND)
            self._turned_at = now
            if self._turns < 1:
                return False
            self._turns -= 1
            return True

    def _called(self, pod: str, now: float, *, over: bool) -> None:
        with self._lock:
            if over:
                self._running.pop(pod, None)
            else:
                self._running[pod] = now
            if now - self._pruned_at >= LATELY_SECONDS:
                self._pruned_at = now
                self._running = {name: at for name, at in self._running.items() if now - at < LATELY_SECONDS}
                self._out_of_reach = {name: far for name, far in self._out_of_reach.items() if now < far[0]}


@dataclass(frozen=True, slots=True)
class _Taken:
    content: bytes
    at: Moment | None
    """The last line's that was handed out or skipped."""
    end: bool
    cut: bool
    """Whether it stopped within a line: the next reading counts bytes from the beginning."""


def _take(found: Iterable[Line], *, after: Moment | None, skip: int, over: bool) -> _Taken:
    content = bytearray()
    at: Moment | None = None
    for line in found:
        if after is not None and _known(line.at, after):
            continue
        if not line.whole and not over and len(line.text) - skip <= LOG_CHUNK_BYTES:
            break  # it is being written: handed out when it is whole
        text = line.text
        if skip:
            text, skip = text[skip:], max(0, skip - len(text))
            if not text:
                at = line.at
                continue
        if len(content) + len(text) > LOG_CHUNK_BYTES:
            if not content:
                return _Taken(text[:LOG_CHUNK_BYTES], None, end=False, cut=True)
            return _Taken(bytes(content), at, end=False, cut=False)
        content += text
        at = line.at
        if not line.whole:
            return _Taken(bytes(content), None, end=True, cut=True)
    # Less there than was read once: the node has rotated the log. What follows now is new, and goes on from here.
    return _Taken(bytes(content), at, end=True, cut=False)


def _known(at: Moment, after: Moment) -> bool:
    # Asked from a whole second on, lines of one moment are counted from the first again, so their number compares.
    return at <= after
