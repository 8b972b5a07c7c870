"""Each epoch is told once, when it is over, with its own values: in lines for a pipe and in the live panel."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from api.cli.client import Api, Message
from api.cli.epochs import Epochs, metrics_line
from api.cli.watch import View
from api.db import Database
from tests.api.cli.conftest import Tiphys
from tests.api.factories import create_event, create_heartbeat, create_job


def within(epoch: int, step: int, loss: float, **more: Any) -> dict[str, Any]:
    """A heartbeat as the Ultralytics trainer sends it in the middle of an epoch."""
    return {"epoch": epoch, "step": step, "metrics": {"train/box_loss": loss, "train/cls_loss": 1.0}, **more}


def validated(epoch: int, loss: float, quality: float, **more: Any) -> dict[str, Any]:
    """The heartbeat it sends at an epoch's end."""
    metrics = {"train/box_loss": loss, "train/cls_loss": 1.0, "val/box_loss": 9.0, "val/mAP50": quality}
    return {"epoch": epoch, "metrics": metrics | {"epoch_seconds": 1.5}, **more}


ULTRALYTICS = [
    within(1, 3, 4.0),
    within(1, 7, 3.5),
    validated(1, 3.0, 0.1),
    within(2, 3, 2.9),
    within(2, 7, 2.5),
    validated(2, 2.0, 0.2),
    within(3, 4, 1.9),
    validated(3, 1.0, 0.3),
]


def told(beats: list[dict[str, Any]]) -> list[str]:
    """What is said of the epochs these heartbeats end, and of the one that the job's end ends."""
    epochs = Epochs()
    over = [epoch for beat in beats for epoch in epochs.hear(beat)] + list(epochs.close())
    return [f"{epoch.number}: {metrics_line(epoch.metrics).plain.strip()}" for epoch in over]


def test_a_pipe_reads_each_epoch_once_with_its_own_values(
    tiphys: Tiphys, online: TestClient, database: Database
) -> None:
    with database.write() as session:
        job = create_job(session, state="succeeded", closed=True)
        for beat in ULTRALYTICS:
            create_heartbeat(session, job, total_epochs=3, **beat)
        create_event(session, job, kind="state", event_type="succeeded", message="running -> succeeded")
    lines = [line.strip() for line in tiphys("job", "watch", "last").out.splitlines() if "epoch" in line]
    assert lines == ["epoch 1/3  loss 4  mAP50 0.1", "epoch 2/3  loss 3  mAP50 0.2", "epoch 3/3  loss 2  mAP50 0.3"]


@pytest.mark.parametrize(
    ("beats", "lines"),
    [
        (ULTRALYTICS[:4], ["1: loss 4  mAP50 0.1", "2: loss 3.9"]),
        # A trainer that tells of training and validation apart.
        (
            [
                {"epoch": 1, "metrics": {"train/loss": 2.0}},
                {"epoch": 1, "metrics": {"val/acc": 0.5}},
                {"epoch": 2, "metrics": {"train/loss": 1.0}},
                {"epoch": 2, "metrics": {"val/acc": 0.75}},
            ],
            ["1: loss 2  acc 0.5", "2: loss 1  acc 0.75"],
        ),
        # One whose metrics have names of its own: an epoch is over when the next begins, or the job ends.
        (
            [{"epoch": 1, "metrics": {"f1": 0.5}}, {"epoch": 1, "metrics": {"r": 1.0}}, {"epoch": 2, "metrics": {}}],
            ["1: f1 0.5  r 1"],
        ),
        # Validated within an epoch, which goes on.
        (
            [{"epoch": 1, "step": 5, "metrics": {"val/acc": 0.25}}, {"epoch": 1, "metrics": {"val/acc": 0.5}}],
            ["1: acc 0.5"],
        ),
        # Broken off in its second epoch and taken up again.
        (
            [
                validated(1, 3.0, 0.1, attempt=1),
                within(2, 3, 2.9, attempt=1),
                within(2, 1, 2.8, attempt=2),
                validated(2, 2.0, 0.2, attempt=2),
            ],
            ["1: loss 4  mAP50 0.1", "2: loss 3  mAP50 0.2"],
        ),
        # Signs of life without an epoch, and a metric that was no number.
        (
            [{"epoch": None, "metrics": None}, {"epoch": 1, "metrics": {"train/loss": None, "val/acc": 0.5}}],
            ["1: acc 0.5"],
        ),
    ],
)
def test_an_epoch_is_over_when_validated_or_followed(beats: list[dict[str, Any]], lines: list[str]) -> None:
    assert told(beats) == lines


def test_the_live_panel_keeps_the_epoch_under_way_apart_from_the_last_one() -> None:
    job: dict[str, Any] = {
        "id": "abcdefgh", "name": "n", "framework": "ultralytics", "model": "m", "dataset": "d", "state": "running",
        "steps": [], "epoch": 1, "total_epochs": 3, "progress": None, "metrics": {"val/mAP50": 0.9},
    }  # fmt: skip
    view, api = View(job), Api("http://127.0.0.1:1", "t")

    def panel() -> list[str]:
        out = Console(width=100)
        with out.capture() as shown:
            out.print(view)
        return [line.strip() for line in shown.get().splitlines() if "mAP" in line or "loss" in line]

    seen = []
    for beat in ULTRALYTICS[:4]:
        view.hear(Message("1-1", "heartbeat", beat), api)
        seen.append(panel())
    assert seen == [
        ["loss 5"],
        ["loss 4.5"],
        ["loss 4  mAP50 0.1"],
        ["loss 3.9", "epoch 1: loss 4  mAP50 0.1"],
    ]
    assert view.job["epoch"] == 2
