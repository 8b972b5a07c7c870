"""Both ways to say the same to a database, the general and its own, leave the same records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Dialect, select

from api.callbacks.bodies import read_heartbeats
from api.callbacks.heartbeats import Delivery, HeartbeatStore
from api.callbacks.statements import CoreStatements, SqliteStatements, Statements, statements_for
from api.db import Database
from api.models import Event, Heartbeat, Job
from tests.api.factories import NOW, create_job

JOB, TRACE = "k7m2qz9x", "t" * 32
BODIES = [
    [b'{"trace_id": "%s", "epoch": 1, "total_epochs": 4, "metrics": {"loss": 0.5, "val": null}}'],
    [b'{"trace_id": "%s", "epoch": 2, "metrics": {"loss": NaN}, "gpu": "T4"}', b'{"trace_id": "%s"}'],
    [b'{"trace_id": "%s", "epoch": 1, "metrics": {"val": 0.0}, "progress": 12.5}'],
    [b'{"trace_id": "%s", "epoch": 1, "metrics": {"val": 0.0}}'],
    [b'{"trace_id": "%s", "epoch": 2, "metrics": {"loss": NaN}}', b'{"trace_id": "another"}'],
]


def record(row: Any, *, leave: str) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in row.__table__.columns if column.name != leave}


@pytest.mark.parametrize("statements", [CoreStatements, statements_for])
def test_both_leave_the_same_records(database: Database, statements: Callable[[Dialect], Statements]) -> None:
    with database.write() as session:
        create_job(session, id=JOB, state="running", trace_id=TRACE)
    store = HeartbeatStore(statements(database.engine.dialect))
    answers = []
    for group in BODIES:
        texts = [body.replace(b"%s", TRACE.encode()) for body in group]
        deliveries = [Delivery(JOB, 1, tuple(read_heartbeats(text)), NOW) for text in texts]
        with database.write_connection() as connection:
            answers += [answer is True for answer in store.store(connection, deliveries)]
    assert answers == [True] * 6 + [False]
    with database.read() as session:
        job = session.get(Job, JOB)
        beats = session.scalars(select(Heartbeat).order_by(Heartbeat.seq)).all()
        events = session.scalars(select(Event)).all()
    assert job is not None
    assert (job.epoch, job.total_epochs, job.progress, job.last_heartbeat_at) == (2, 4, 50.0, NOW)
    assert job.metrics == {"loss": 0.5, "val": 0.0}
    told = [(b.epoch, b.step, b.total_epochs, b.progress, b.metrics, b.extra, b.received_at) for b in beats]
    assert told == [
        (2, -1, None, None, {"loss": None}, {"gpu": "T4"}, NOW),
        (-1, -1, None, None, None, None, NOW),
        (1, -1, 4, 12.5, {"loss": 0.5, "val": 0.0}, None, NOW),
    ]
    assert [record(event, leave="id") for event in events] == [
        {
            "job_id": JOB,
            "attempt": 1,
            "kind": "platform",
            "level": "warning",
            "event_type": "metric_not_finite",
            "message": "metric loss was not a finite number in epoch 2; stored as null",
            "data": {"metric": "loss", "epoch": 2},
            "key": "not_finite:1:2:loss",
            "created_at": NOW,
        }
    ]


def test_more_rows_than_one_statement_takes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStatements, "_CHUNK", 3)
    with database.write() as session:
        create_job(session, id=JOB, state="running", trace_id=TRACE)
    body = b"[" + b",".join(b'{"trace_id": "%s", "epoch": %d}' % (TRACE.encode(), e) for e in range(10)) + b"]"
    store = HeartbeatStore(statements_for(database.engine.dialect))
    with database.write_connection() as connection:
        assert store.store(connection, [Delivery(JOB, 1, tuple(read_heartbeats(body)), NOW)]) == [True]
    with database.read() as session:
        assert session.scalars(select(Heartbeat.epoch).order_by(Heartbeat.seq)).all() == list(range(10))


@pytest.mark.sqlite_only
def test_sqlite_keeps_moments_as_sqlalchemy_does(database: Database) -> None:
    with database.write() as session:
        create_job(session, id=JOB, state="running", trace_id=TRACE)
    store = HeartbeatStore(SqliteStatements(database.engine.dialect))
    with database.write_connection() as connection:
        store.store(connection, [Delivery(JOB, 1, tuple(read_heartbeats(f'{{"trace_id": "{TRACE}"}}'.encode())), NOW)])
        raw = connection.exec_driver_sql("SELECT last_heartbeat_at, created_at FROM jobs").one()
    assert raw == ("2026-11-21 12:00:00.000000", "2026-11-21 12:00:00.000000")
