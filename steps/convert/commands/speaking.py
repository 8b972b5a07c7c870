"""Tells how far a command has come, as JSON lines that a program can follow."""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import TextIO

EVERY = 0.1  # seconds between two lines of one phase


class Speaker:
    """A `Progress` that writes {"phase", "done", "total", "bytes"} lines, at most ten a second besides the last."""

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._phase = ""
        self._due = 0.0
        self._bytes: int | None = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        """Tells that `done` of `total` things of a phase are finished."""
        now = self._clock()
        if phase != self._phase:
            self._begin(phase)
        if now < self._due and done < total:
            return
        self._due = now + EVERY
        line = {"phase": phase, "done": done, "total": total, "bytes": self._bytes}
        # Who no longer listens is no reason to stop working.
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()

    def moved(self, phase: str, amount: int) -> None:
        """Counts bytes that were read or written in a phase; its next line tells their sum."""
        if phase != self._phase:
            self._begin(phase)
        self._bytes = (self._bytes or 0) + amount

    def _begin(self, phase: str) -> None:
        self._phase, self._bytes, self._due = phase, None, 0.0
