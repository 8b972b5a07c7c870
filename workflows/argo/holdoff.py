"""Leaves a server alone for as long as it asked to be, instead of asking it the harder the busier it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from workflows.engine import EngineUnavailable

LONGEST = 60.0
"""Seconds: what a mistaken server asks beyond that is not granted."""
BUSY = frozenset({429, 503})


class Holdoff:
    """Until when a server is not to be asked; shared by all threads that ask it."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0
        self._code = 0

    def check(self, *, who: str, what: str) -> None:
        """Raises EngineUnavailable while the server is to be left alone."""
        left = self._until - self._clock()
        if left > 0:
            raise EngineUnavailable(
                f"{who} is busy ({self._code}) and asked to be left alone for another {left:.0f} s: cannot {what} now",
                untouched=True,
            )

    def heard(self, answer: httpx.Response) -> None:
        """Takes in an answer that may ask for a pause."""
        if answer.status_code not in BUSY:
            return
        pause = _seconds(answer.headers.get("Retry-After", ""))
        if pause > 0:
            self._code, self._until = answer.status_code, self._clock() + min(pause, LONGEST)


def _seconds(text: str) -> float:
    """Returns what `Retry-After` says, seconds or a date; 0 where it says nothing."""
    if text.strip().isdigit():
        return float(text)
    try:
        return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
