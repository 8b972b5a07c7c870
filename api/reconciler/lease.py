"""Exactly one active reconciler among several: a lease in the database, renewed while it works."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from api.db import Database
from api.postgres import told

log = logging.getLogger("tiphys.reconciler")

NAME = "reconciler"
STUCK_SECONDS = 900.0
"""Without a finished look for so long, this process hangs: another one shall do the work."""
STUCK_EXIT = 6
"""Exit code of a process that hangs."""
_PARTS = 3
"""How often a lease is renewed while it lasts."""

# By the database's clock alone: those of two machines differ.
_NOW = "(clock_timestamp() AT TIME ZONE 'UTC')"
_UNTIL = f"{_NOW} + make_interval(secs => :seconds)"
_TAKE = text(
    f"""INSERT INTO leases AS mine (name, term, holder, until, taken_at, looked_at)
    VALUES (:name, 1, :holder, {_UNTIL}, {_NOW}, {_NOW})
    ON CONFLICT (name) DO UPDATE SET term = mine.term + 1, holder = excluded.holder, until = excluded.until,
        taken_at = excluded.taken_at, looked_at = excluded.looked_at
    WHERE mine.until < {_NOW}
    RETURNING term"""
)
# Asked first: a standby that asks every second must not lock the row that the active one's transactions stand on.
_HELD = text(f"SELECT until >= {_NOW} FROM leases WHERE name = :name")
_RENEW = text(
    f"""UPDATE leases SET until = {_UNTIL},
        looked_at = greatest(looked_at, {_NOW} - make_interval(secs => :since_look))
    WHERE name = :name AND term = :term RETURNING term"""
)
_GIVE_BACK = text(f"UPDATE leases SET until = {_NOW} WHERE name = :name AND term = :term AND until > {_NOW}")
# Held until the transaction ends: nobody takes over in the middle of it.
_STANDS = text(f"SELECT 1 FROM leases WHERE name = :name AND term = :term AND until > {_NOW} FOR SHARE")


class NotHeld(BaseException):
    """This process does not hold the lease at this moment: it must not act.

    No Exception: where one job's trouble is caught, so that the others go on, this must not be.
    """


def whoami() -> str:
    """Returns what people know this process by: its machine, or pod, and its pid."""
    return f"{socket.gethostname()}/{os.getpid()}"


def awake() -> float:
    """Returns seconds that go on while this process, or the whole machine, is stopped."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Lease:
    """One term as the active one: from `take` until it is lost or given back."""

    def __init__(
        self, database: Database, *, seconds: float, over: threading.Event, clock: Callable[[], float] = awake
    ) -> None:
        self._database = database
        self._seconds = seconds
        self._clock = clock
        self._term = 0
        self._until = 0.0
        self._looked = 0.0
        self.over = over
        """Set once this term is over for good: another one has taken over, or this process was told to end."""

    def take(self) -> bool:
        """Tries to become the active one; returns whether it did."""
        began = self._clock()
        with self._transaction() as connection:
            if connection.execute(_HELD, {"name": NAME}).scalar():
                return False
            values = {"name": NAME, "holder": whoami(), "seconds": self._seconds}
            term = connection.execute(_TAKE, values).scalar()
        if term is None:
            return False
        self._term, self._looked = term, began
        # From before the question was sent: so this ends no later here than it does there.
        self._until = began + self._seconds
        return True

    def renew(self) -> bool:
        """Holds on for another while; returns False where another one has taken over meanwhile."""
        began = self._clock()
        with self._transaction() as connection:
            values = {"name": NAME, "term": self._term, "seconds": self._seconds, "since_look": began - self._looked}
            stands = connection.execute(_RENEW, values).scalar() is not None
        self._until = began + self._seconds if stands else 0.0
        if not stands:
            self.over.set()
        return stands

    def give_back(self) -> None:
        """Lets the next one take over at once; nothing of ours may go on any more."""
        self.over.set()
        self._until = 0.0
        with self._transaction() as connection:
            connection.execute(_GIVE_BACK, {"name": NAME, "term": self._term})

    def check(self, *, lasting: bool = False) -> None:
        """Raises NotHeld unless this process may act; with `lasting`, begin what takes a while. Asks only the clock."""
        ahead = self._seconds / _PARTS if lasting else 0.0
        if self._clock() + ahead >= self._until:
            raise NotHeld("another reconciler may be the active one by now")

    def fence(self, connection: Connection) -> None:
        """Raises NotHeld unless the database agrees, and keeps it so until the connection's transaction ends."""
        if connection.execute(_STANDS, {"name": NAME, "term": self._term}).scalar() is None:
            raise NotHeld("another reconciler is the active one by now")

    def looked(self) -> None:
        """Notes that a look at everything is finished."""
        self._looked = self._clock()

    def keep(self) -> None:
        """Renews until the term is over; ends the process where its looks hang."""
        while not self.over.wait(self._seconds / _PARTS):
            try:
                if not self.renew():
                    log.error("another reconciler has taken over: this one stands by again")
            except SQLAlchemyError as error:
                log.warning("the lease could not be renewed: %s", told(error))
            if self._clock() - self._looked > STUCK_SECONDS:
                log.critical("no look was finished for %.0f s: this process hangs, and ends", STUCK_SECONDS)
                os._exit(STUCK_EXIT)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._database.engine.begin() as connection:
            # A lease that is fenced by somebody's transaction at this moment is not free; and we are in no hurry.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(self._seconds * 1000 / _PARTS)}")
            yield connection


def wait_for(lease: Lease, stop: threading.Event, *, every: float, alive: Callable[[], None]) -> bool:
    """Stands by until the lease is ours; returns False when told to end before."""
    said = False
    while not stop.is_set():
        alive()
        try:
            if lease.take():
                return True
            if not said:
                log.info("another reconciler is active: standing by")
            said = True
        except SQLAlchemyError as error:
            log.warning("the lease cannot be asked for: %s", told(error))
        stop.wait(every)
    return False
