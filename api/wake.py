"""Wakes those who wait for news of a job, so that they need not ask the database often."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict


class Wake:
    """Who waits for which job, in this process; news from other processes is found by looking."""

    def __init__(self) -> None:
        self.attended = False
        """Whether somebody looks for what other processes write: then who waits need not look by himself."""
        self._lock = threading.Lock()
        self._waiting: defaultdict[str, set[_Waiter]] = defaultdict(set)
        self._closed = False

    def notify(self, job_id: str) -> None:
        """Wakes everybody who waits for a job; may be called from any thread, and costs next to nothing."""
        if job_id not in self._waiting:  # the usual case: nobody watches; a stale answer is healed by the next look
            return
        with self._lock:
            waiters = self._waiting.pop(job_id, set())
        for waiter in waiters:
            waiter.wake()

    async def wait(self, job_id: str, *, seconds: float) -> None:
        """Returns when there is news of a job, and after `seconds` at the latest."""
        waiter = _Waiter(asyncio.get_running_loop())
        with self._lock:
            if self._closed:
                return
            self._waiting[job_id].add(waiter)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter.event.wait()
        finally:
            with self._lock:
                waiters = self._waiting.get(job_id)
                if waiters is not None:
                    waiters.discard(waiter)
                    if not waiters:
                        del self._waiting[job_id]

    def waited_for(self) -> list[str]:
        """Returns the jobs that somebody waits for."""
        with self._lock:
            return list(self._waiting)

    @property
    def waiting(self) -> int:
        """How many wait at this moment."""
        with self._lock:
            return sum(len(waiters) for waiters in self._waiting.values())

    @property
    def closed(self) -> bool:
        """Whether the process is ending, and what never ends by itself should end now."""
        return self._closed

    def close(self) -> None:
        """Wakes everybody for good: streams end, and their clients come back to the next process."""
        with self._lock:
            self._closed = True
            waiters = [waiter for waiting in self._waiting.values() for waiter in waiting]
            self._waiting.clear()
        for waiter in waiters:
            waiter.wake()


class _Waiter:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.event = asyncio.Event()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # its loop has ended: so has whoever waited
            self.loop.call_soon_threadsafe(self.event.set)
