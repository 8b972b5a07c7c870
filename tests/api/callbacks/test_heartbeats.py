"""What heartbeats do to the records: once, late, out of order, from an older attempt, after the end."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.api.callbacks.conftest import MakeTrainer, Trainer
from tests.api.factories import NOW, Clock

GO_ON = {"status": "ok", "should_continue": True}
STOP = {"status": "ok", "should_continue": False}


def test_a_heartbeat_is_a_row_and_the_job_follows(trainer: Trainer) -> None:
    answer = trainer.beat(
        epoch=3, total_epochs=12, step=5, total_steps=9, progress=25.0, metrics={"loss": 0.5, "lr": 0}
    )
    assert answer.json() == GO_ON
    (row,) = trainer.beats()
    assert (row.attempt, row.epoch, row.step, row.total_epochs, row.total_steps) == (1, 3, 5, 12, 9)
    assert (row.progress, row.metrics, row.extra, row.received_at) == (25.0, {"loss": 0.5, "lr": 0.0}, None, NOW)
    job = trainer.now()
    assert (job.epoch, job.total_epochs, job.progress) == (3, 12, 25.0)
    assert (job.metrics, job.last_heartbeat_at) == ({"loss": 0.5, "lr": 0.0}, NOW)
    assert job.state == "running"


def test_the_smallest_heartbeat_is_a_sign_of_life(trainer: Trainer, clock: Clock) -> None:
    assert trainer.beat().json() == GO_ON
    later = clock.advance(10)
    assert trainer.beat().json() == GO_ON
    (row,) = trainer.beats()
    assert (row.epoch, row.step, row.metrics) == (-1, -1, None)
    job = trainer.now()
    assert (job.last_heartbeat_at, job.epoch, job.progress, job.metrics) == (later, None, None, None)


def test_unknown_keys_are_kept(trainer: Trainer) -> None:
    trainer.beat(epoch=1, gpu_name="T4", eta={"seconds": 12}, timestamp="2026-01-02T03:04:05Z", extra_data={"raw": 1})
    assert trainer.beats()[0].extra == {
        "gpu_name": "T4",
        "eta": {"seconds": 12},
        "timestamp": "2026-01-02T03:04:05Z",
        "extra_data": {"raw": 1},
    }


def test_null_is_as_good_as_absent(trainer: Trainer) -> None:
    assert trainer.beat(epoch=None, total_epochs=None, progress=None, metrics=None).json() == GO_ON
    assert trainer.beats()[0].epoch == -1


def test_whole_numbers_may_come_as_floats(trainer: Trainer) -> None:
    trainer.beat(epoch=3.0, total_epochs=10.0)
    assert trainer.now().epoch == 3


def test_the_same_heartbeat_twice_is_one_row(trainer: Trainer) -> None:
    for _ in range(3):
        assert trainer.beat(epoch=1, metrics={"loss": 0.5}).json() == GO_ON
    (row,) = trainer.beats()
    assert (row.seq, row.metrics) == (1, {"loss": 0.5})


def test_what_comes_later_of_the_same_epoch_is_added_and_told_again(trainer: Trainer) -> None:
    trainer.beat(epoch=1, metrics={"train/loss": 0.5, "val/mAP50": None}, progress=10)
    trainer.beat(epoch=2, metrics={"train/loss": 0.4})
    trainer.beat(epoch=1, metrics={"val/mAP50": 0.0, "train/loss": None})
    two, one = trainer.beats()
    assert (two.epoch, one.epoch) == (2, 1)
    assert one.metrics == {"train/loss": 0.5, "val/mAP50": 0.0}
    assert one.progress == 10
    assert one.seq > two.seq


def test_zero_is_a_value_and_a_null_is_no_reason_to_forget(trainer: Trainer) -> None:
    trainer.beat(epoch=1, metrics={"acc": 0.5, "loss": 0.3})
    trainer.beat(epoch=2, metrics={"acc": 0.0, "loss": None, "new": None})
    assert trainer.now().metrics == {"acc": 0.0, "loss": 0.3, "new": None}


def test_a_late_heartbeat_fills_in_and_never_takes_the_job_back(trainer: Trainer, clock: Clock) -> None:
    trainer.beat(epoch=5, total_epochs=10, metrics={"loss": 0.2})
    later = clock.advance(1)
    assert trainer.beat(epoch=4, total_epochs=9, metrics={"loss": 0.9, "lr": 0.1}).json() == GO_ON
    job = trainer.now()
    assert (job.epoch, job.total_epochs, job.progress) == (5, 10, 50.0)
    assert job.metrics == {"loss": 0.2, "lr": 0.1}
    assert job.last_heartbeat_at == later
    assert [row.epoch for row in trainer.beats()] == [5, 4]


@pytest.mark.parametrize(
    ("fields", "progress"),
    [
        ({"epoch": 3, "total_epochs": 12}, 25.0),
        ({"epoch": 0, "total_epochs": 12}, 0.0),
        ({"epoch": 12, "total_epochs": 12}, 100.0),
        ({"epoch": 13, "total_epochs": 12}, 100.0),
        ({"epoch": 3, "total_epochs": 12, "progress": 70}, 70.0),
        ({"epoch": 3}, None),
        ({"epoch": 3, "total_epochs": 0}, None),
        ({"progress": 0}, 0.0),
    ],
)
def test_progress_is_worked_out_where_it_is_not_said(
    trainer: Trainer, fields: dict[str, Any], progress: float | None
) -> None:
    trainer.beat(**fields)
    assert trainer.now().progress == progress


def test_the_total_said_once_is_enough(trainer: Trainer) -> None:
    trainer.beat(epoch=1, total_epochs=4)
    trainer.beat(epoch=2)
    assert trainer.now().progress == 50.0


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", '"nan"', '"-inf"'])
def test_what_is_no_finite_number_is_null_and_warned_of_once(trainer: Trainer, word: str) -> None:
    body = (
        f'{{"trace_id": "{trainer.job.trace_id}", "epoch": 2, "metrics": {{"loss": {word}, "acc": 0.0}}, '
        f'"more": [{word}]}}'
    ).encode()
    for _ in range(2):
        assert trainer.call("heartbeat", body).json() == GO_ON
    (row,) = trainer.beats()
    assert row.metrics == {"loss": None, "acc": 0.0}
    (event,) = trainer.events("metric_not_finite")
    assert (event.kind, event.level, event.data) == ("platform", "warning", {"metric": "loss", "epoch": 2})
    assert "loss" in event.message
    assert "epoch 2" in event.message


def test_the_warning_comes_anew_with_each_epoch_and_metric(trainer: Trainer) -> None:
    trainer.beat(epoch=1, metrics={"a": None, "b": None}, non_finite=["a", "b"])
    trainer.beat(epoch=2, metrics={"a": None}, non_finite=["a"])
    trainer.beat(epoch=2, metrics={"a": None}, non_finite=["a"])
    told = [(event.data["epoch"], event.data["metric"]) for event in trainer.events("metric_not_finite")]
    assert told == [(1, "a"), (1, "b"), (2, "a")]


def test_several_in_one_body(trainer: Trainer) -> None:
    beats = [
        {"trace_id": trainer.job.trace_id, "epoch": e, "total_epochs": 4, "metrics": {"e": e}} for e in (1, 3, 2, 3)
    ]
    assert trainer.call("heartbeat", beats).json() == GO_ON
    assert [row.epoch for row in trainer.beats()] == [1, 3, 2]
    assert (trainer.now().epoch, trainer.now().metrics) == (3, {"e": 3.0})


@pytest.mark.parametrize(
    ("second", "status", "field"),
    [({"epoch": "x"}, 422, "[1].epoch"), ({"trace_id": "another"}, 400, None), (7, 422, "[1]")],
)
def test_of_several_all_are_stored_or_none(trainer: Trainer, second: Any, status: int, field: str | None) -> None:
    good = {"trace_id": trainer.job.trace_id, "epoch": 1}
    answer = trainer.call("heartbeat", [good, good | second if isinstance(second, dict) else second])
    assert answer.status_code == status
    if field:
        assert answer.json()["errors"][0]["field"] == field
    assert trainer.beats() == []


@pytest.mark.parametrize("count", [0, 1001])
def test_of_several_there_must_be_some_and_not_too_many(trainer: Trainer, count: int) -> None:
    body = [{"trace_id": trainer.job.trace_id, "epoch": epoch} for epoch in range(count)]
    assert trainer.call("heartbeat", body).status_code == 422


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_after_the_end_it_is_recorded_and_told_to_stop(make_trainer: MakeTrainer, state: str) -> None:
    trainer = make_trainer(state=state)
    assert trainer.beat(epoch=9, total_epochs=10, metrics={"loss": 1}).json() == STOP
    assert trainer.beats()[0].epoch == 9
    job = trainer.now()
    assert (job.state, job.epoch, job.progress, job.metrics, job.last_heartbeat_at) == (state, None, None, None, None)


def test_while_cancelling_it_is_applied_and_told_to_stop(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(state="cancelling")
    assert trainer.beat(epoch=9).json() == STOP
    assert (trainer.now().epoch, trainer.now().state) == (9, "cancelling")


@pytest.mark.parametrize("state", ["pending", "queued", "running"])
def test_a_heartbeat_moves_no_state(make_trainer: MakeTrainer, state: str) -> None:
    trainer = make_trainer(state=state)
    assert trainer.beat(epoch=1).json() == GO_ON
    assert trainer.now().state == state


def test_an_older_attempt_is_recorded_not_applied_and_told_to_stop(make_trainer: MakeTrainer) -> None:
    old = make_trainer(attempt=2, speaks_for=1)
    assert old.beat(epoch=7, metrics={"loss": 1}).json() == STOP
    (row,) = old.beats()
    assert (row.attempt, row.epoch) == (1, 7)
    assert (old.now().epoch, old.now().last_heartbeat_at) == (None, None)


def test_attempts_do_not_share_rows(make_trainer: MakeTrainer, settings: Any, database: Any) -> None:
    new = make_trainer(attempt=2)
    old = Trainer(new.client, database, settings, new.job, 1)
    assert new.beat(epoch=1, metrics={"a": 1}).json() == GO_ON
    assert old.beat(epoch=1, metrics={"a": 2}).json() == STOP
    assert [(row.attempt, row.metrics) for row in new.beats()] == [(2, {"a": 1.0}), (1, {"a": 2.0})]


def test_many_at_once_are_all_stored(trainer: Trainer, make_trainer: MakeTrainer) -> None:
    trainers = [trainer, *(make_trainer() for _ in range(3))]
    answers: list[int] = []

    def train(one: Trainer) -> None:
        answers.extend(one.beat(epoch=e, total_epochs=10, metrics={"e": e}).status_code for e in range(1, 11))

    threads = [threading.Thread(target=train, args=(one,)) for one in trainers for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 80
    for one in trainers:
        assert sorted(row.epoch for row in one.beats()) == list(range(1, 11))
        assert (one.now().epoch, one.now().progress, one.now().metrics) == (10, 100.0, {"e": 10.0})


def test_heartbeats_are_counted_for_whoever_measures(trainer: Trainer) -> None:
    trainer.beat(epoch=1)
    trainer.beat(epoch=2)
    trainer.beat(epoch=2)
    assert "tiphys_heartbeats_total 3\n" in trainer.client.get("/metrics").text
