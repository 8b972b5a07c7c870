"""The state machine: every move that is allowed, every one that is not, and what a move leaves behind."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from api.db import Database
from api.errors import IllegalMove
from api.jobs.status import ACTIVE, ERROR_TYPE_REASONS, MOVES, SEED_WORDS, TERMINAL, Reason, State, move
from api.models import Attempt, Event, Job
from tests.api.factories import NOW, Clock, create_job

# Written out by hand, so that a change of the machine is a change of this table.
ALLOWED = {
    ("pending", "queued"),
    ("pending", "failed"),
    ("pending", "cancelled"),
    ("queued", "running"),
    ("queued", "cancelling"),
    ("queued", "succeeded"),
    ("queued", "failed"),
    ("queued", "cancelled"),
    ("running", "cancelling"),
    ("running", "succeeded"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("cancelling", "succeeded"),
    ("cancelling", "failed"),
    ("cancelling", "cancelled"),
    ("failed", "pending"),
    ("cancelled", "pending"),
}
PAIRS = [(here, there) for here in State for there in State]
STAMPS = ("queued_at", "started_at", "finished_at")


@pytest.mark.parametrize(("here", "there"), [pair for pair in PAIRS if pair in ALLOWED])
def test_allowed_move_changes_the_job_and_is_told(database: Database, clock: Clock, here: str, there: str) -> None:
    later = clock.advance(90)
    with database.write() as session:
        job = create_job(session, state=here)
        move(session, job, State(there), reason=Reason.USER, message="because", at=later)
        job_id = job.id
    with database.read() as session:
        job = session.get_one(Job, job_id)
        assert (job.state, job.reason, job.message, job.updated_at) == (there, "user", "because", later)
        (event,) = session.scalars(select(Event).where(Event.job_id == job_id))
        assert (event.kind, event.event_type, event.message, event.created_at) == ("state", there, "because", later)
        assert event.data == {"from": here, "to": there, "reason": "user"}
        assert event.level == ("error" if there == "failed" else "info")


@pytest.mark.parametrize(("here", "there"), [pair for pair in PAIRS if pair not in ALLOWED])
def test_any_other_move_is_refused_and_leaves_nothing(database: Database, here: str, there: str) -> None:
    with database.write() as session:
        job = create_job(session, state=here)
        before = (job.state, job.reason, job.message, job.updated_at)
        with pytest.raises(IllegalMove) as caught:
            move(session, job, State(there), reason=Reason.USER, message="because", at=NOW)
        assert (job.state, job.reason, job.message, job.updated_at) == before
        assert session.scalars(select(Event)).all() == []
    assert f"{here} and cannot become {there}" in caught.value.message
    assert caught.value.cure
    assert caught.value.status == 409


@pytest.mark.parametrize(
    ("here", "there", "stamped"),
    [
        ("pending", "queued", "queued_at"),
        ("queued", "running", "started_at"),
        ("running", "succeeded", "finished_at"),
        ("running", "failed", "finished_at"),
        ("running", "cancelled", "finished_at"),
        ("running", "cancelling", None),
    ],
)
def test_a_move_stamps_its_own_time_alone(database: Database, here: str, there: str, stamped: str | None) -> None:
    with database.write() as session:
        job = create_job(session, state=here)
        move(session, job, State(there), reason=Reason.USER, message="", at=NOW)
        assert {name for name in STAMPS if getattr(job, name) is not None} == ({stamped} if stamped else set())


def test_an_end_is_written_on_the_attempt_too(database: Database) -> None:
    with database.write() as session:
        job = create_job(session, state="running", attempt=2)
        move(session, job, State.FAILED, reason=Reason.OOM, message="out of memory", at=NOW)
        attempt = session.get_one(Attempt, (job.id, 2))
        assert (attempt.state, attempt.reason, attempt.message) == ("failed", "oom", "out of memory")
        assert attempt.finished_at == NOW


def test_a_retry_forgets_the_times_of_the_last_attempt(database: Database) -> None:
    with database.write() as session:
        job = create_job(session, state="failed", queued_at=NOW, started_at=NOW, finished_at=NOW)
        move(session, job, State.PENDING, reason=Reason.RETRIED, message="", at=NOW)
        assert [getattr(job, name) for name in STAMPS] == [None, None, None]


def test_the_words_and_the_table_agree() -> None:
    assert set(MOVES) == set(State)
    assert set(State) == {State.PENDING} | ACTIVE | TERMINAL
    assert SEED_WORDS == {"completed": "succeeded", "stopped": "cancelled"}
    assert len(ERROR_TYPE_REASONS) == 9
    assert all(len(reason) <= 32 for reason in Reason)
