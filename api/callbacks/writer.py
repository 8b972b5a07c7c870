"""Commits heartbeats in groups: one thread, one transaction for all that is queued, an answer only after the commit."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue

from sqlalchemy.exc import DBAPIError, IntegrityError

from api.auth import JobClaims
from api.callbacks.bodies import Beat
from api.callbacks.faults import is_busy, not_running
from api.callbacks.heartbeats import Answer, Delivery, HeartbeatStore
from api.callbacks.statements import statements_for
from api.db import Database
from api.errors import StorageFull, TiphysError, from_failure
from api.postgres import is_worth_another_try

log = logging.getLogger(__name__)

# Beyond a few hundred the cost per heartbeat no longer falls, and the first one of a batch waits for the last.
_MAX_BATCH = 500


@dataclass(slots=True)
class _Work:
    delivery: Delivery
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[bool] = field(repr=False)


class HeartbeatWriter:
    """The one writer of heartbeats; `submit` from any event loop between `start` and `stop`."""

    def __init__(self, database: Database, *, notify: Callable[[str], None]) -> None:
        self._database = database
        self._notify = notify
        self._store = HeartbeatStore(statements_for(database.engine.dialect))
        self._rounds: dict[asyncio.AbstractEventLoop, list[_Work]] = {}
        self._queue: SimpleQueue[list[_Work] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ending = threading.Lock()
        self.stored = 0
        """Heartbeats taken by this process, those that came twice included."""

    def start(self) -> None:
        """Starts the thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="heartbeat-writer", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Commits what is queued, answers it, and ends the thread."""
        with self._ending:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def submit(
        self, claims: JobClaims, beats: Sequence[Beat], *, received_at: datetime, traced: bool = True
    ) -> asyncio.Future[bool]:
        """Returns a future: whether the trainer should go on, once the heartbeats are durable.

        Raises:
            NotFound, TraceMismatch: nothing of this delivery was stored.
            StorageFull, Unavailable: the database could not take it; the client may try again.
        """
        if self._thread is None:
            raise not_running()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        delivery = Delivery(claims.job_id, claims.attempt, tuple(beats), received_at, traced)
        round_ = self._rounds.get(loop)
        if round_ is None:
            round_ = self._rounds[loop] = []
            loop.call_soon(self._hand_over, loop, 0)
        round_.append(_Work(delivery, loop, future))
        return future

    def _hand_over(self, loop: asyncio.AbstractEventLoop, seen: int) -> None:
        """Wakes the thread as soon as a turn of the loop has brought nothing new.

        A transaction costs as much as twenty heartbeats, and a busy loop would fight with the thread for the
        interpreter's lock; an idle one turns in microseconds.
        """
        round_ = self._rounds[loop]
        if seen < len(round_) < _MAX_BATCH:
            loop.call_soon(self._hand_over, loop, len(round_))
            return
        del self._rounds[loop]
        with self._ending:
            if self._thread is not None:
                self._queue.put(round_)
                return
        _resolve([(work.future, not_running()) for work in round_])

    def _run(self) -> None:
        open_ = True
        while open_:
            batch, open_ = self._next()
            if batch:
                answers = self._commit([work.delivery for work in batch])
                taken = zip(batch, answers, strict=True)
                self.stored += sum(len(work.delivery.beats) for work, answer in taken if isinstance(answer, bool))
                self._answer(batch, answers)
                for job_id in {work.delivery.job_id for work in batch}:
                    self._notify(job_id)

    def _next(self) -> tuple[list[_Work], bool]:
        """Waits for a round, then takes what else is there: a fixed window would only add latency."""
        batch: list[_Work] = []
        round_ = self._queue.get()
        while round_ is not None:
            batch += round_
            if len(batch) >= _MAX_BATCH:
                return batch, True
            try:
                round_ = self._queue.get_nowait()
            except Empty:
                return batch, True
        return batch, False

    def _commit(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        try:
            return self._transaction(deliveries)
        except Exception as error:
            # Another process deleted the job between our look and our insert; or the connection was lost, and what
            # may have been stored is not stored twice. Look again.
            if not isinstance(error, IntegrityError) and not is_worth_another_try(error):
                return self._failed(deliveries, error)
        try:
            return self._transaction(deliveries)
        except Exception as error:
            return self._failed(deliveries, error)

    def _transaction(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        with self._database.write_connection() as connection:
            return self._store.store(connection, deliveries)

    def _failed(self, deliveries: Sequence[Delivery], error: Exception) -> list[Answer]:
        """Answers for a batch that was rolled back; what is wrong with one delivery must not cost the others theirs."""
        answer = from_failure(error)
        if len(deliveries) == 1 or not isinstance(error, DBAPIError) or isinstance(answer, StorageFull):
            log.error("heartbeats could not be stored (%d): %s", len(deliveries), error)
            return [answer] * len(deliveries)
        if is_busy(error):
            log.warning("heartbeats could not be stored (%d): %s", len(deliveries), error)
            return [answer] * len(deliveries)
        return [alone for delivery in deliveries for alone in self._commit([delivery])]

    @staticmethod
    def _answer(batch: Sequence[_Work], answers: Sequence[Answer]) -> None:
        """Wakes each event loop once for all of its requests."""
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[bool], Answer]]] = {}
        for work, answer in zip(batch, answers, strict=True):
            by_loop.setdefault(work.loop, []).append((work.future, answer))
        for loop, pairs in by_loop.items():
            try:
                loop.call_soon_threadsafe(_resolve, pairs)
            except RuntimeError:
                log.warning("an event loop ended before %d heartbeats were answered; they are stored", len(pairs))


def _resolve(pairs: Sequence[tuple[asyncio.Future[bool], Answer]]) -> None:
    for future, answer in pairs:
        if future.done():
            continue  # the client went away
        if isinstance(answer, TiphysError):
            future.set_exception(answer)
        else:
            future.set_result(answer)
