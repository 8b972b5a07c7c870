"""Events: told twice recorded once, and what checkpoints and snapshots they bring."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from api.models import Snapshot
from tests.api.callbacks.conftest import MakeTrainer, Trainer
from tests.api.factories import Clock

OK = {"status": "ok"}
SNAPSHOT: dict[str, Any] = {
    "snapshot_id": "snap_0123456789ab",
    "dataset_version_hash": "dsv1:00",
    "dataset_id": "digits",
    "layout": "D1",
    "task": "object_detection",
    "classes": [{"index": 0, "id": 1, "name": "one"}],
    "split": {"train": [1], "val": [2], "test": []},
    "counts": {"images": 2},
}


def saved(trainer: Trainer, **data: Any) -> Any:
    return trainer.call("event", {"event_type": "checkpoint_saved", "data": data})


def converted(trainer: Trainer, **changes: Any) -> Any:
    data = {"snapshot": SNAPSHOT | changes, "conversion": {"counts": {}, "warnings": []}}
    return trainer.call("event", {"event_type": "dataset_converted", "data": data})


def test_an_event_is_recorded(trainer: Trainer) -> None:
    body = {
        "trace_id": trainer.job.trace_id,
        "level": "warning",
        "event_type": "slow",
        "message": "m",
        "data": {"a": 1},
    }
    assert trainer.call("event", body | {"host": "node-1"}).json() == OK
    (event,) = trainer.events()
    assert (event.kind, event.attempt, event.level, event.event_type, event.message) == (
        "trainer",
        1,
        "warning",
        "slow",
        "m",
    )
    assert event.data == {"a": 1, "_extra": {"host": "node-1"}}


@pytest.mark.parametrize(
    ("said", "kept"), [("WARN", "warning"), ("Info", "info"), ("debug", "info"), ("fatal", "error")]
)
def test_other_words_for_a_level_are_understood(trainer: Trainer, said: str, kept: str) -> None:
    trainer.call("event", {"event_type": "x", "level": said})
    assert trainer.events()[0].level == kept


def test_the_same_content_is_one_event(trainer: Trainer) -> None:
    for _ in range(3):
        assert trainer.call("event", {"event_type": "x", "message": "m"}).json() == OK
    trainer.call("event", {"event_type": "x", "message": "n"})
    assert [event.message for event in trainer.events()] == ["m", "n"]


def test_the_same_key_is_one_event_whatever_it_says(trainer: Trainer) -> None:
    trainer.call("event", {"event_type": "x", "message": "m"}, **{"Idempotency-Key": "k"})
    trainer.call("event", {"event_type": "x", "message": "n"}, **{"Idempotency-Key": "k"})
    trainer.call("event", {"event_type": "x", "message": "m"}, **{"Idempotency-Key": "l"})
    trainer.call("event", {"event_type": "x", "message": "long"}, **{"Idempotency-Key": "l" * 900})
    trainer.call("event", {"event_type": "x", "message": "longer"}, **{"Idempotency-Key": "l" * 901})
    assert [event.message for event in trainer.events()] == ["m", "m", "long", "longer"]


def test_attempts_tell_their_own_events(make_trainer: MakeTrainer, settings: Any, database: Any) -> None:
    new = make_trainer(attempt=2)
    old = Trainer(new.client, database, settings, new.job, 1)
    for trainer in (old, new):
        trainer.call("event", {"event_type": "training_started"})
    assert [event.attempt for event in new.events()] == [1, 2]


def test_nan_in_data_is_null(trainer: Trainer) -> None:
    body = b'{"event_type": "x", "data": {"loss": NaN, "more": [{"a": -Infinity}, 0.0]}}'
    assert trainer.call("event", body).json() == OK
    assert trainer.events()[0].data == {"loss": None, "more": [{"a": None}, 0.0]}


def test_an_event_after_the_end_is_recorded(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(state="cancelled")
    assert trainer.call("event", {"event_type": "x"}).json() == OK
    assert len(trainer.events()) == 1
    assert trainer.now().state == "cancelled"


def test_a_checkpoint_is_recorded(trainer: Trainer) -> None:
    sha256 = "ab" * 32
    saved(trainer, kind="best", uri="s3://b/best.pt", size=7, sha256=sha256, epoch=3, metrics={"val/mAP50": 0.5})
    row = trainer.checkpoints()["best"]
    assert (row.uri, row.size, row.sha256, row.epoch, row.metrics, row.attempt) == (
        "s3://b/best.pt",
        7,
        sha256,
        3,
        {"val/mAP50": 0.5},
        1,
    )


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        ({"checkpoint_path": "s3://b/checkpoints/job-1/epoch-10.pt", "file_size_mb": 245}, "epoch_10", 245 * 2**20),
        ({"checkpoint_path": "s3://b/checkpoints/job-1/best.pt"}, "best", None),
        ({"path": "s3://b/model_best.pth"}, "best", None),
        ({"path": "s3://b/last.pt", "epoch": 4}, "last", None),
        ({"path": "s3://b/weights.pt", "epoch": 4}, "epoch_4", None),
        ({"path": "s3://b/weights.pt"}, "last", None),
        ({"uri": "s3://b/a.pt", "type": "epoch_7"}, "epoch_7", None),
    ],
)
def test_older_words_for_a_checkpoint(trainer: Trainer, data: dict[str, Any], kind: str, size: int | None) -> None:
    saved(trainer, **data)
    assert {name: row.size for name, row in trainer.checkpoints().items()} == {kind: size}


def test_the_newest_best_stands(trainer: Trainer) -> None:
    saved(trainer, kind="best", uri="s3://b/best.pt", size=1, sha256="aa" * 32, epoch=3, metrics={"m": 0.3})
    saved(trainer, kind="best", uri="s3://b/best.pt", size=2, epoch=5)
    saved(trainer, kind="best", uri="s3://b/best.pt", size=9, epoch=4)
    row = trainer.checkpoints()["best"]
    assert (row.epoch, row.size, row.sha256, row.metrics) == (5, 2, None, None)


def test_a_trainer_that_began_again_further_back_has_written_over_its_file(trainer: Trainer, clock: Clock) -> None:
    trainer.call("event", {"event_type": "training_started"}, **{"Idempotency-Key": "first"})
    clock.advance(1)
    saved(trainer, kind="best", uri="s3://b/best.pt", sha256="aa" * 32, epoch=10)
    clock.advance(1)
    trainer.call("event", {"event_type": "training_started"}, **{"Idempotency-Key": "second"})
    clock.advance(1)
    for epoch, digest in ((3, "bb"), (7, "cc"), (5, "dd")):
        saved(trainer, kind="best", uri="s3://b/best.pt", sha256=digest * 32, epoch=epoch)
        clock.advance(1)
    row = trainer.checkpoints()["best"]
    assert (row.epoch, row.sha256) == (7, "cc" * 32)


def test_the_checkpoint_of_an_older_attempt_comes_too_late(
    make_trainer: MakeTrainer, settings: Any, database: Any
) -> None:
    new = make_trainer(attempt=2)
    old = Trainer(new.client, database, settings, new.job, 1)
    saved(old, kind="best", uri="s3://b/1.pt", epoch=9)
    saved(new, kind="best", uri="s3://b/2.pt", epoch=1)
    saved(old, kind="best", uri="s3://b/3.pt", epoch=10)
    row = new.checkpoints()["best"]
    assert (row.uri, row.attempt, row.epoch) == ("s3://b/2.pt", 2, 1)


@pytest.mark.parametrize("uri", ["/workspace/run/best.pt", "best.pt", "file:///etc/passwd", "file:///", "s3://b/a b"])
def test_a_place_that_we_must_not_serve_is_warned_of(trainer: Trainer, uri: str) -> None:
    assert saved(trainer, kind="best", uri=uri).json() == OK
    assert trainer.checkpoints() == {}
    (event,) = trainer.events("checkpoint_refused")
    assert (event.kind, event.level) == ("platform", "warning")
    assert uri in event.message


def test_a_file_climbing_out_of_storage_is_refused(trainer: Trainer, settings: Any) -> None:
    root = settings.storage().uri("")
    saved(trainer, kind="best", uri=f"{root}../keys.json")
    saved(trainer, kind="last", uri=f"{root}%2e%2e/keys.json")
    assert trainer.checkpoints() == {}
    saved(trainer, kind="last", uri=f"{root}checkpoints/last.pt")
    assert list(trainer.checkpoints()) == ["last"]


def test_a_snapshot_is_recorded_and_the_job_tied_to_it(trainer: Trainer) -> None:
    assert converted(trainer).json() == OK
    assert trainer.now().snapshot_id == SNAPSHOT["snapshot_id"]
    with trainer.database.read() as session:
        (row,) = session.scalars(select(Snapshot)).all()
    assert (row.version_hash, row.dataset_id, row.split, row.classes, row.counts) == (
        "dsv1:00",
        "digits",
        SNAPSHOT["split"],
        SNAPSHOT["classes"],
        {"images": 2},
    )
    (event,) = trainer.events("dataset_converted")
    assert "split" not in event.data["snapshot"]
    assert event.data["conversion"] == {"counts": {}, "warnings": []}


def test_two_jobs_share_a_snapshot(make_trainer: MakeTrainer) -> None:
    one, other = make_trainer(), make_trainer()
    converted(one)
    converted(other)
    assert one.now().snapshot_id == other.now().snapshot_id == SNAPSHOT["snapshot_id"]
    assert other.events("snapshot_refused") == []


def test_a_snapshot_never_changes(make_trainer: MakeTrainer) -> None:
    one, other = make_trainer(), make_trainer()
    converted(one)
    assert converted(other, split={"train": [2], "val": [1], "test": []}).json() == OK
    assert other.now().snapshot_id is None
    (event,) = other.events("snapshot_refused")
    assert (event.level, event.kind) == ("warning", "platform")
    assert "split" in event.message
    with one.database.read() as session:
        assert session.scalars(select(Snapshot.split)).all() == [SNAPSHOT["split"]]


@pytest.mark.parametrize("changes", [{"snapshot_id": None}, {"split": []}, {"classes": {}}, {"snapshot_id": "x" * 33}])
def test_half_a_snapshot_is_warned_of(trainer: Trainer, changes: dict[str, Any]) -> None:
    assert converted(trainer, **changes).json() == OK
    assert trainer.now().snapshot_id is None
    assert len(trainer.events("snapshot_refused")) == 1


def test_the_snapshot_of_an_older_attempt_is_kept_and_not_applied(make_trainer: MakeTrainer) -> None:
    old = make_trainer(attempt=2, speaks_for=1)
    converted(old)
    assert old.now().snapshot_id is None
    with old.database.read() as session:
        assert session.get(Snapshot, SNAPSHOT["snapshot_id"]) is not None


def test_a_snapshot_of_many_images_fits(trainer: Trainer) -> None:
    split = {"train": [f"image-{index:08}" for index in range(40_000)], "val": [], "test": []}
    assert converted(trainer, split=split).json() == OK
    assert trainer.now().snapshot_id == SNAPSHOT["snapshot_id"]
