"""Too fast: 429 with Retry-After, per job."""

from __future__ import annotations

import pytest

from api.callbacks.limits import RateLimit
from api.errors import TooMany
from api.settings import Settings
from tests.api.callbacks.conftest import MakeTrainer, Trainer


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"heartbeats_per_second": 0.01})


def test_a_job_that_is_too_fast_is_told_so(trainer: Trainer, make_trainer: MakeTrainer) -> None:
    assert trainer.beat(epoch=1).status_code == 200
    answer = trainer.beat(epoch=2)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert 90 <= int(answer.headers["retry-after"]) <= 100
    assert len(trainer.beats()) == 1
    assert make_trainer().beat(epoch=1).status_code == 200


def test_a_flood_of_events_is_held_back_too_and_done_never(trainer: Trainer) -> None:
    assert trainer.call("event", {"event_type": "log", "message": "1"}).status_code == 200
    answer = trainer.call("event", {"event_type": "log", "message": "2"})
    assert answer.status_code == 429
    assert "retry-after" in answer.headers
    assert trainer.call("done", {"status": "succeeded"}).status_code == 200
    assert trainer.call("done", {"status": "succeeded"}).status_code == 200


def test_a_bucket_fills_with_time() -> None:
    moment = [0.0]
    limit = RateLimit(2, clock=lambda: moment[0])
    limit.take("a")
    limit.take("a")
    with pytest.raises(TooMany):
        limit.take("a")
    moment[0] = 0.5
    limit.take("a")
    with pytest.raises(TooMany):
        limit.take("a")
    moment[0] = 100
    limit.take("a")
    limit.take("a")
    with pytest.raises(TooMany):
        limit.take("a")


def test_a_batch_larger_than_the_burst_is_let_in_and_paid_for() -> None:
    moment = [0.0]
    limit = RateLimit(2, clock=lambda: moment[0])
    limit.take("a", count=10)
    moment[0] = 4
    with pytest.raises(TooMany):
        limit.take("a")
    moment[0] = 4.6
    limit.take("a")


def test_the_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.callbacks.limits._BUCKETS", 3)
    limit = RateLimit(1, clock=lambda: 0.0)
    for key in "abcdef":
        limit.take(key)
    assert len(limit._buckets) == 3
