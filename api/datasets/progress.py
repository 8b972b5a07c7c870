"""Turns a program's ticks into what people ask: how far, how fast, how long still."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

WINDOW = 15.0
"""Seconds over which a pace is taken: long enough to be steady, short enough to follow a change."""
SETTLED = 0.5
"""Seconds of a phase before its pace is told: the first moments would promise anything."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """How far a process says it is."""

    phase: str
    done: int
    total: int
    bytes: int | None = None


class Pace:
    """The pace of the phase that runs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phase = ""
        self._seen: deque[tuple[float, int, int]] = deque()

    def take(self, tick: Tick) -> dict[str, Any]:
        """Returns the progress as it is recorded: phase, done, total, bytes, rates a second, seconds still to go."""
        now = self._clock()
        if tick.phase != self._phase:
            self._phase = tick.phase
            self._seen.clear()
        self._seen.append((now, tick.done, tick.bytes or 0))
        while now - self._seen[0][0] > WINDOW and len(self._seen) > 2:
            self._seen.popleft()
        then, done, size = self._seen[0]
        spent = now - then
        rate = (tick.done - done) / spent if spent >= SETTLED else None
        left = max(0, tick.total - tick.done)
        return {
            "phase": tick.phase,
            "done": tick.done,
            "total": tick.total,
            "bytes": tick.bytes,
            "rate": _rounded(rate),
            "bytes_rate": _rounded(((tick.bytes or 0) - size) / spent) if spent >= SETTLED and tick.bytes else None,
            "eta_seconds": round(left / rate, 1) if rate else None,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
