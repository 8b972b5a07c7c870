"""Stores heartbeats, many in one transaction, and lets the job's row follow them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from api.callbacks.bodies import Beat
from api.callbacks.statements import JobRow, Statements
from api.errors import NotFound, TiphysError, TraceMismatch
from api.jobs.status import TERMINAL, State

Answer = bool | TiphysError
"""Whether the trainer should go on, or why nothing was stored."""

_STOPPING = TERMINAL | {State.CANCELLING}
_Key = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one request brought: heartbeats of one attempt."""

    job_id: str
    attempt: int
    beats: tuple[Beat, ...]
    received_at: datetime
    traced: bool = True
    """False for the older words, which know no trace id."""


@dataclass(slots=True)
class _Batch:
    """What a transaction is going to write."""

    rows: dict[_Key, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)


class HeartbeatStore:
    """Writes deliveries, many in one transaction."""

    def __init__(self, statements: Statements) -> None:
        self._sql = statements

    def store(self, connection: Connection, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Writes what the deliveries bring in the connection's transaction; returns one answer each."""
        jobs = self._sql.jobs(connection, sorted({delivery.job_id for delivery in deliveries}))
        batch = _Batch()
        answers = [_take(batch, jobs.get(delivery.job_id), delivery) for delivery in deliveries]
        rows = list(batch.rows.values())
        if rows and self._sql.add(connection, rows) != len(rows):
            for row in rows:
                self._merge(connection, row)
        if batch.jobs:
            self._sql.follow(connection, list(batch.jobs.values()))
        if batch.warnings:
            self._sql.warn(connection, list(batch.warnings.values()))
        return answers

    def _merge(self, connection: Connection, row: dict[str, Any]) -> None:
        """Lets the row that is there learn what the new one knows; one that was just added knows it all."""
        old = self._sql.known(connection, row)
        merged = _merged(old, row)
        if merged is not None:
            # It gets a new number, so that streams, which follow numbers, tell it again.
            self._sql.forget(connection, old["seq"])
            self._sql.add(connection, [merged])


def _take(batch: _Batch, job: JobRow | None, delivery: Delivery) -> Answer:
    if job is None:
        return NotFound(f"there is no job {delivery.job_id}", cure="it may have been deleted; stop training")
    for beat in delivery.beats:
        if delivery.traced and beat.reading.trace_id != job.trace_id:
            return TraceMismatch(
                f"trace_id {beat.reading.trace_id!r} is not that of job {job.id}",
                cure="send the TRACE_ID of the environment",
            )
    applies = delivery.attempt == job.attempt and job.state not in TERMINAL
    if applies and job.id not in batch.jobs:
        batch.jobs[job.id] = {
            "job_id": job.id,
            "epoch": job.epoch,
            "total_epochs": job.total_epochs,
            "progress": job.progress,
            "metrics": job.metrics,
        }
    for beat in delivery.beats:
        _add_row(batch, delivery, beat)
        if applies:
            _follow(batch.jobs[job.id], delivery, beat)
        if beat.not_finite:
            _warn(batch, delivery, beat)
    return delivery.attempt >= job.attempt and job.state not in _STOPPING


def _add_row(batch: _Batch, delivery: Delivery, beat: Beat) -> None:
    reading = beat.reading
    epoch = -1 if reading.epoch is None else reading.epoch
    step = -1 if reading.step is None else reading.step
    row = {
        "job_id": delivery.job_id,
        "attempt": delivery.attempt,
        "epoch": epoch,
        "step": step,
        "total_epochs": reading.total_epochs,
        "total_steps": reading.total_steps,
        "progress": reading.progress,
        "metrics": reading.metrics or None,
        "extra": beat.extra,
        "received_at": delivery.received_at,
    }
    key = (delivery.job_id, delivery.attempt, epoch, step)
    earlier = batch.rows.get(key)
    batch.rows[key] = row if earlier is None else _merged(earlier, row) or earlier


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the old row with what the new one knows better, or None where it knows nothing better."""
    row = dict(new)
    changed = False
    for name in ("total_epochs", "total_steps", "progress"):
        row[name] = old[name] if new[name] is None else new[name]
        changed |= row[name] != old[name]
    for name in ("metrics", "extra"):
        row[name] = overlaid(old[name], new[name])
        changed |= row[name] != old[name]
    return row if changed else None


def overlaid(old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any] | None:
    """Returns both together: what is new and not null wins, a null only fills a place that was empty."""
    if not old or not new:
        return new or old
    if None not in new.values():
        return new if old.keys() <= new.keys() else old | new
    return old | {name: value for name, value in new.items() if value is not None or name not in old}


def _follow(now: dict[str, Any], delivery: Delivery, beat: Beat) -> None:
    reading = beat.reading
    now["last_heartbeat_at"] = delivery.received_at
    here, epoch = now["epoch"], reading.epoch
    # Heartbeats arrive out of order: an older one fills what is missing and never takes the job back.
    late = epoch is not None and here is not None and epoch < here
    if reading.total_epochs and not late:
        now["total_epochs"] = reading.total_epochs
    if epoch is not None and not late:
        now["epoch"] = epoch
    progress = reading.progress
    if progress is None and epoch is not None and now["total_epochs"]:
        progress = min(100.0, 100.0 * epoch / now["total_epochs"])
    if progress is not None:
        now["progress"] = max(progress, now["progress"] or 0.0)
    if reading.metrics:
        first, second = (reading.metrics, now["metrics"]) if late else (now["metrics"], reading.metrics)
        now["metrics"] = overlaid(first, second)


def _warn(batch: _Batch, delivery: Delivery, beat: Beat) -> None:
    epoch = beat.reading.epoch
    for metric in beat.not_finite:
        key = event_key("not_finite", delivery.attempt, -1 if epoch is None else epoch, metric)
        when = "" if epoch is None else f" in epoch {epoch}"
        batch.warnings[(delivery.job_id, key)] = {
            "job_id": delivery.job_id,
            "attempt": delivery.attempt,
            "kind": "platform",
            "level": "warning",
            "event_type": "metric_not_finite",
            "message": f"metric {metric} was not a finite number{when}; stored as null",
            "data": {"metric": metric, "epoch": epoch},
            "key": key,
            "created_at": delivery.received_at,
        }


def event_key(*parts: Any) -> str:
    """Returns what makes an event the same when it is told again, at most 255 characters."""
    key = ":".join(str(part) for part in parts)
    return key if len(key) <= 200 else f"{key[:100]}:{hashlib.sha256(key.encode()).hexdigest()}"
