"""How a trainer ends: the first word of an attempt counts, and a state it never moves."""

from __future__ import annotations

from typing import Any

import pytest

from api.db import Database
from api.models import Attempt
from tests.api.callbacks.conftest import MakeTrainer, Trainer
from tests.api.factories import NOW, Clock

OK = {"status": "ok"}


def test_a_done_is_a_proposal_kept_on_the_attempt(trainer: Trainer) -> None:
    body = {
        "trace_id": trainer.job.trace_id,
        "status": "failed",
        "error": "loss is NaN",
        "error_type": "VALIDATION_ERROR",
        "final_metrics": {"loss": 0.5},
        "epochs_completed": 3,
        "training_time_seconds": 1.5,
        "note": {"own": True},
    }
    assert trainer.call("done", body).json() == OK
    attempt = trainer.told()
    assert (attempt.done_status, attempt.done_at) == ("failed", NOW)
    assert attempt.done == body
    job = trainer.now()
    assert (job.state, job.reason, job.final_metrics) == ("running", None, {"loss": 0.5})
    (event,) = trainer.events("done")
    assert (event.level, event.message) == ("error", "training failed: loss is NaN")


def test_the_first_one_wins(trainer: Trainer, clock: Clock) -> None:
    trainer.call("done", {"status": "succeeded", "final_metrics": {"a": 1}})
    clock.advance(5)
    assert trainer.call("done", {"status": "failed", "final_metrics": {"a": 2}}).json() == OK
    attempt = trainer.told()
    assert (attempt.done_status, attempt.done_at) == ("succeeded", NOW)
    assert trainer.now().final_metrics == {"a": 1}
    assert len(trainer.events()) == 1


def test_a_second_try_has_a_word_of_its_own_once_the_first_is_forgotten(trainer: Trainer, database: Database) -> None:
    trainer.call("done", {"status": "cancelled", "final_metrics": {"a": 1}})
    with database.write() as session:  # as the reconciler does
        attempt = session.get_one(Attempt, (trainer.job.id, trainer.attempt))
        attempt.done_status = attempt.done = attempt.done_at = None
    trainer.call("done", {"status": "succeeded", "final_metrics": {"a": 2}})
    assert trainer.told().done_status == "succeeded"
    assert trainer.now().final_metrics == {"a": 2}
    assert [event.message for event in trainer.events("done")] == ["training cancelled", "training succeeded"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("succeeded", "succeeded"),
        ("completed", "succeeded"),
        ("failed", "failed"),
        ("cancelled", "cancelled"),
        ("stopped", "cancelled"),
        ("Completed", "succeeded"),
    ],
)
def test_older_words_for_the_end(trainer: Trainer, said: str, kept: str) -> None:
    trainer.call("done", {"status": said})
    attempt = trainer.told()
    assert attempt.done_status == kept
    assert attempt.done is not None
    assert attempt.done["status"] == kept


def test_nan_is_null_and_warned_of_zero_is_kept(trainer: Trainer) -> None:
    body = b'{"status": "succeeded", "final_metrics": {"loss": NaN, "acc": 0.0, "n": 3, "name": "x"}}'
    assert trainer.call("done", body).json() == OK
    assert trainer.now().final_metrics == {"loss": None, "acc": 0.0, "n": 3, "name": "x"}
    (event,) = trainer.events("metric_not_finite")
    assert "loss" in event.message


@pytest.mark.parametrize("state", ["cancelling", "cancelled", "failed", "succeeded"])
def test_whatever_the_state_it_is_kept_and_the_state_stays(make_trainer: MakeTrainer, state: str) -> None:
    trainer = make_trainer(state=state)
    assert trainer.call("done", {"status": "cancelled"}).json() == OK
    assert trainer.told().done_status == "cancelled"
    assert trainer.now().state == state


def test_an_older_attempt_keeps_its_own(make_trainer: MakeTrainer) -> None:
    old = make_trainer(attempt=2, speaks_for=1)
    assert old.call("done", {"status": "failed", "final_metrics": {"a": 1}}).json() == OK
    assert old.told().done_status == "failed"
    assert old.now().final_metrics is None
    with old.database.read() as session:
        current = session.get(Attempt, (old.job.id, 2))
    assert current is not None
    assert current.done_status is None


def test_without_final_metrics_none_are_lost(trainer: Trainer) -> None:
    trainer.call("done", {"status": "failed", "final_metrics": None})
    assert trainer.now().final_metrics is None


def test_checkpoints_of_the_artifacts_are_recorded(trainer: Trainer) -> None:
    artifacts: dict[str, Any] = {
        "best_checkpoint": "s3://b/best.pt",
        "last_checkpoint": {"uri": "s3://b/last.pt", "size": 9, "epoch": 3},
        "epoch_2": "s3://b/e2.pt",
        "tensorboard_logs": "s3://b/logs/",
        "plots": ["s3://b/p.png"],
    }
    trainer.call("done", {"status": "succeeded", "artifacts": artifacts})
    found = {kind: (row.uri, row.size, row.epoch) for kind, row in trainer.checkpoints().items()}
    assert found == {
        "best": ("s3://b/best.pt", None, None),
        "last": ("s3://b/last.pt", 9, 3),
        "epoch_2": ("s3://b/e2.pt", None, None),
    }


def test_what_an_event_said_of_a_checkpoint_is_not_forgotten(trainer: Trainer) -> None:
    data = {"kind": "best", "uri": "s3://b/best.pt", "size": 7, "sha256": "ab" * 32, "epoch": 3, "metrics": {"m": 1}}
    trainer.call("event", {"event_type": "checkpoint_saved", "data": data})
    trainer.call("done", {"status": "succeeded", "artifacts": {"best_checkpoint": "s3://b/best.pt"}})
    row = trainer.checkpoints()["best"]
    assert (row.size, row.sha256, row.epoch, row.metrics) == (7, "ab" * 32, 3, {"m": 1})


def test_the_token_of_a_cancelled_job_still_delivers(make_trainer: MakeTrainer, clock: Clock) -> None:
    trainer = make_trainer(state="cancelled")
    clock.advance(3000)
    assert trainer.call("done", {"status": "cancelled"}).status_code == 200
