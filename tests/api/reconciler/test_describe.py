"""A workflow's own page says how its job stands: seldom while it trains, at once when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from api.db import Database
from api.models import Attempt, Job
from api.reconciler.fence import FencedEngine
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench, job_id_of
from tests.api.reconciler.scripted import ScriptedEngine
from workflows.argo import ArgoEngine
from workflows.engine import EngineUnavailable


class Page(ScriptedEngine):
    """An engine with pages for people."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.written: list[str] = []
        self.away = False

    def describe(self, name: str, text: str) -> None:
        if self.away:
            raise EngineUnavailable("busy")
        self.written.append(text)


@pytest.fixture
def page(clock: Clock) -> Page:
    return Page(clock)


@pytest.fixture
def bench(settings: Settings, database: Database, clock: Clock, page: Page) -> Bench:
    return Bench(settings, database, clock, engine=page)


def stands(bench: Bench, name: str, epoch: int, metrics: Mapping[str, Any]) -> None:
    """What a heartbeat leaves in the job."""
    with bench.database.write() as session:
        job = session.get_one(Job, job_id_of(name))
        job.epoch, job.total_epochs, job.metrics = epoch, 50, dict(metrics)
        job.last_heartbeat_at = bench.clock()
        job.spec = {**job.spec, "primary_metric": {"name": "val/mAP50", "mode": "max"}}
        row = session.scalars(select(Attempt).where(Attempt.workflow_name == name)).one()
        notes = {"workflows.argoproj.io/description": "ultralytics / yolo11n"}
        row.manifest = {**(row.manifest or {}), "metadata": {"name": name, "annotations": notes}}


def test_epoch_and_metric_are_written_once_a_minute(bench: Bench, page: Page) -> None:
    name = bench.running()
    for epoch in range(1, 61):
        stands(bench, name, epoch, {"val/mAP50": epoch / 100})
        bench.tick(2, seconds=1)
    assert page.written[0] == "**epoch 1/50 · val/mAP50 0.01**\n\nultralytics / yolo11n"
    assert len(page.written) == 2


def test_the_end_is_written_with_its_cause(bench: Bench, page: Page) -> None:
    name = bench.running()
    page.fail(name, "main: OOMKilled (exit code 137)", 137)
    bench.tick(2)
    assert page.written[-1].startswith("**failed: Step train ran out of main memory")


def test_a_page_that_cannot_be_written_keeps_no_job_from_its_end(bench: Bench, page: Page) -> None:
    name = bench.running()
    page.away = True
    stands(bench, name, 1, {})
    bench.tick()
    page.fail(name, "main: Error (exit code 1)")
    bench.tick(2)
    assert bench.job(name).state == "failed"
    assert bench.attempt(name).closed


def test_a_line_that_could_not_be_written_is_written_later(bench: Bench, page: Page) -> None:
    name = bench.running()
    page.away = True
    stands(bench, name, 1, {})
    bench.tick()
    page.away = False
    bench.tick(2, seconds=61)
    assert page.written == ["**epoch 1/50**\n\nultralytics / yolo11n"]


def test_a_fenced_engine_does_all_that_the_engine_for_argo_does() -> None:
    public = {name for name in vars(ArgoEngine) if not name.startswith("_")}
    assert public <= set(dir(FencedEngine))
