"""Looks for news that other processes have written, of all the jobs that somebody here waits for, in one statement."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from api.db import Database
from api.jobs import queries
from api.jobs.queries import Pulse
from api.postgres import told
from api.wake import Wake

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.4
FORGET_SECONDS = 30.0
"""After how long what was seen of a job is forgotten that nobody waits for any more."""


class Lookout:
    """Rings the bell for what another replica, or the reconciler, has written.

    Not by PostgreSQL's NOTIFY: all transactions that notify commit one after the other, heartbeats first of all.
    """

    def __init__(self, database: Database, wake: Wake, *, every: float = EVERY_SECONDS) -> None:
        self._database = database
        self._wake = wake
        self._every = every
        self._seen: dict[str, tuple[Pulse, float]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to look, in a thread of its own."""
        self._wake.attended = True
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it; who waits looks for himself again."""
        self._wake.attended = False
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """Looks once, and rings for each job of which there is news."""
        now, waited_for = time.monotonic(), self._wake.waited_for()
        with_news = []
        if waited_for:
            with self._database.read() as session:
                pulses = queries.pulses(session, waited_for)
            for job_id in waited_for:
                pulse, known = pulses.get(job_id), self._seen.get(job_id)
                # The first time, too: something may have come between the waiter's own look and this one.
                if known is None or known[0] != pulse:
                    with_news.append(job_id)
                if pulse is not None:
                    self._seen[job_id] = (pulse, now)
        self._seen = {job_id: seen for job_id, seen in self._seen.items() if now - seen[1] < FORGET_SECONDS}
        for job_id in with_news:
            self._wake.notify(job_id)

    def _run(self) -> None:
        away = False
        while not self._stop.wait(self._every):
            try:
                self.look()
                away = False
            except SQLAlchemyError as error:
                if not away:
                    log.warning("news of other processes cannot be looked for: %s", told(error))
                away = True
