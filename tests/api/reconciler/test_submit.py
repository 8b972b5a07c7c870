"""From pending to queued: order, fairness, refusals, an engine that is away, crashes on the way."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from api.db import Database
from api.jobs.status import Reason, State
from api.reconciler.submit import build_manifest
from api.settings import Settings
from tests.api.factories import NOW, Clock, create_snapshot
from tests.api.reconciler.bench import Bench, job_id_of
from tests.api.reconciler.scripted import tiny_manifest
from workflows.keys import workflow_name
from workflows.spec import JobSpec

TOY = {"framework": "toy", "model": "softmax", "dataset": "file:///data/digits/"}


def test_a_pending_job_is_handed_over_once(bench: Bench) -> None:
    name = bench.create()
    bench.tick(3)
    job, attempt = bench.job(name), bench.attempt(name)
    assert (job.state, job.reason) == (State.QUEUED, Reason.SUBMITTED)
    assert attempt.manifest
    assert attempt.submitted_at == NOW
    assert bench.engine.created[name] == 1
    assert bench.told(name, "state") == ["queued"]


def test_the_token_travels_as_a_secret_alone(bench: Bench) -> None:
    name = bench.create(spec={"limits": {"total": "2h"}})
    bench.tick()
    token = bench.engine.secrets[name]["CALLBACK_TOKEN"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == job_id_of(name)
    assert claims["attempt"] == 1
    assert claims["exp"] == pytest.approx((NOW + timedelta(days=7, hours=2)).timestamp())
    assert token not in str(bench.attempt(name).manifest)
    assert not any(token in str((e.message, e.data)) for e in bench.events(name))


def test_a_job_that_shall_not_start_yet_waits(bench: Bench) -> None:
    name = bench.create(start=False)
    bench.tick(2)
    assert bench.job(name).state == State.PENDING
    assert not bench.engine.created


def test_places_go_to_the_oldest_and_fairly_between_projects(
    database: Database, settings: Settings, clock: Clock
) -> None:
    bench = Bench(settings.model_copy(update={"max_active_jobs": 3}), database, clock)
    many = [bench.create(project="many", created_at=NOW + timedelta(seconds=i)) for i in range(4)]
    one = bench.create(project="one", created_at=NOW + timedelta(minutes=1))
    bench.tick(3)
    assert set(bench.engine.created) == {many[0], many[1], one}
    bench.engine.fail(many[0], "x")
    bench.tick(2)
    assert bench.engine.created[many[2]] == 1
    assert many[3] not in bench.engine.created


def test_a_refused_job_fails_with_the_cure(bench: Bench) -> None:
    bench.engine.refuses = "the environment of image 'tiphys/x' is missing: run `make environments`"
    name = bench.create()
    bench.tick(3)
    job = bench.job(name)
    assert (job.state, job.reason) == (State.FAILED, Reason.REFUSED)
    assert "make environments" in (job.message or "")
    assert bench.attempt(name).closed
    assert [verb for verb, _ in bench.engine.calls].count("submit") == 1


def test_an_engine_that_is_away_is_waited_for_with_one_warning(bench: Bench) -> None:
    bench.engine.available = False
    name = bench.create()
    bench.tick(40)
    tries = [verb for verb, _ in bench.engine.calls].count("submit")
    assert 3 <= tries <= 6
    assert bench.job(name).state == State.PENDING
    warnings = bench.events(name, kind="platform")
    assert [(e.level, e.event_type) for e in warnings] == [("warning", "engine_unavailable")]
    bench.engine.available = True
    bench.clock.advance(60)
    bench.tick()
    assert bench.job(name).state == State.QUEUED


def test_one_job_that_cannot_be_built_does_not_stop_the_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = bench.create(id="22222222", created_at=NOW - timedelta(hours=1))
    good = bench.create()
    build = bench.build

    def broken(tools: Any, wanted: Any) -> dict[str, Any]:
        if wanted.job_id == "22222222":
            raise RuntimeError("boom")
        return build(tools, wanted)

    monkeypatch.setattr(bench, "build", broken)
    bench.restart()
    bench.tick(30)
    assert bench.job(good).state == State.QUEUED
    assert bench.job(bad).state == State.PENDING
    assert bench.told(bad, "platform") == ["reconcile_trouble"]
    assert "boom" in bench.events(bad, kind="platform")[0].message


def test_a_cancel_between_record_and_workflow_wins(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bench.create()
    submit = bench.engine.submit

    def slow(*args: Any, **kwargs: Any) -> None:
        bench.cancel(name)
        submit(*args, **kwargs)

    monkeypatch.setattr(bench.engine, "submit", slow)
    bench.tick(4)
    assert bench.job(name).state == State.CANCELLED
    assert bench.told(name, "state") == ["cancelled"]
    assert ("stop", name) in bench.engine.calls
    assert bench.attempt(name).closed


def test_a_retry_resumes_on_the_same_data(bench: Bench) -> None:
    with bench.database.write() as session:
        create_snapshot(session, id="snap-1", version_hash="sha256:abc")
    name = bench.running(snapshot_id="snap-1")
    bench.engine.fail(name, "main: Error (exit code 1)")
    bench.tick(2)
    again = bench.retry(name)
    bench.tick(2)
    first, second = bench.builds
    assert not first.resume
    assert second.resume
    assert (second.number, second.snapshot_id, second.version_hash) == (2, "snap-1", "sha256:abc")
    assert bench.engine.created[again] == 1
    bench.engine.fail(again, "x")
    bench.tick(2)
    bench.retry(again, resume=False)
    bench.tick()
    assert not bench.builds[-1].resume


def test_the_real_compiler_makes_the_manifest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bench.create(spec={"framework": "toy", "model": "softmax", "dataset": "digits"})
    broken = bench.create(spec={"framework": "nope", "model": "m", "dataset": "d"})
    monkeypatch.setattr(bench, "build", build_manifest)
    bench.restart()
    bench.tick()
    manifest = bench.attempt(name).manifest
    assert manifest, bench.job(name).message
    assert manifest["metadata"]["name"] == name
    assert manifest["spec"]["entrypoint"] == "main"
    refused = bench.job(broken)
    assert (refused.state, refused.reason) == (State.FAILED, Reason.REFUSED)
    assert "nope" in (refused.message or "")


def test_mlflows_password_stands_in_the_secret_and_not_in_the_manifest(
    settings: Settings, database: Database, clock: Clock
) -> None:
    there = settings.model_copy(update={"mlflow_tracking_uri": "https://ann:s3cr%40t@mlflow.example/base"})
    bench = Bench(there, database, clock, build=build_manifest)
    name = bench.create(spec=JobSpec.from_mapping(TOY).resolved().to_mapping())
    bench.tick()
    manifest = json.dumps(bench.attempt(name).manifest)
    assert "https://mlflow.example/base" in manifest
    assert "s3cr" not in manifest
    assert bench.engine.secrets[name]["MLFLOW_TRACKING_PASSWORD"] == "s3cr@t"
    assert bench.engine.secrets[name]["MLFLOW_TRACKING_USERNAME"] == "ann"
    assert '"key": "MLFLOW_TRACKING_PASSWORD"' in manifest


def test_a_job_that_cannot_be_submitted_keeps_no_other_from_its_place(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(update={"max_active_jobs": 1})
    odd = bench.create()
    bench.clock.advance(1)
    sound = bench.create()

    def build(_: Any, wanted: Any) -> dict[str, Any]:
        if wanted.job_id == job_id_of(odd):
            raise KeyError("a framework that went")
        return tiny_manifest(workflow_name(wanted.job_id, wanted.number))

    bench._own_build = build
    bench.restart()
    bench.tick(3)
    assert bench.job(odd).state == State.PENDING
    assert bench.job(sound).state == State.QUEUED


def test_a_password_in_the_address_of_weights_is_refused() -> None:
    for login in ("ann:secret", "token"):
        with pytest.raises(ValueError, match="without any"):
            Settings(pretrained_source=f"https://{login}@weights.example/{{model}}")
