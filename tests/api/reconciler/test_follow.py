"""From queued to closed: states, step events, logs, deletions, isolation; replays that add nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.jobs.status import Reason, State
from api.models import Job
from api.reconciler import follow
from api.reconciler.close import KEEP_NEWEST
from tests.api.reconciler.bench import Bench, job_id_of
from workflows.engine import EngineUnavailable


def test_a_whole_job(bench: Bench) -> None:
    name = bench.create()
    bench.tick(2)
    assert bench.job(name).state == State.QUEUED
    bench.engine.advance(name)
    bench.tick()
    assert bench.job(name).state == State.RUNNING
    bench.checkpoint(name)
    bench.done(name, "succeeded", final_metrics={"val/mAP50-95": 0.5})
    for _ in range(12):
        bench.engine.advance(name)
        bench.tick()
    job = bench.job(name)
    assert (job.state, job.reason, job.progress) == (State.SUCCEEDED, Reason.COMPLETED, 100.0)
    assert job.message == "Trained: val/mAP50-95 0.5."
    assert job.final_metrics == {"val/mAP50-95": 0.5}
    assert bench.told(name, "state") == ["queued", "running", "succeeded"]
    assert bench.told(name, "step") == ["step_started", "step_succeeded"] * 5
    assert bench.attempt(name).closed


def test_a_replay_adds_nothing(bench: Bench) -> None:
    name = bench.running()
    before = len(bench.events(name))
    for _ in range(3):
        bench.restart()
        bench.tick(2)
    assert len(bench.events(name)) == before


def test_who_takes_over_writes_nothing_that_is_in_the_records(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bench.running()
    bench.restart()
    written: list[str] = []
    monkeypatch.setattr(follow, "take_in", lambda _, attempt, *__, **___: written.append(attempt.name))
    bench.tick(3)
    assert not written
    bench.engine.advance(name)
    bench.tick()
    assert written == [name]


def test_a_failure_is_named_and_told(bench: Bench) -> None:
    name = bench.running("convert")
    bench.engine.fail(name, "main: Error (exit code 1): image 7.png is missing")
    bench.tick(2)
    job = bench.job(name)
    assert (job.state, job.reason) == (State.FAILED, Reason.DATASET_ERROR)
    assert "image 7.png is missing" in (job.message or "")
    assert bench.told(name, "step")[-1] == "step_failed"


def test_what_a_process_wrote_last_stands_for_a_cause_it_did_not_give(bench: Bench) -> None:
    name = bench.running()
    bench.engine.output[name, f"{name}-train"] = b"epoch 1\nFileNotFoundError: 'labels.csv'\n"
    bench.engine.fail(name, "main: Error (exit code 1)")
    bench.done(name, "failed", error="train: main: Error (exit code 1)", error_type="TRAINING_ERROR")
    bench.tick(2)
    message = bench.job(name).message or ""
    assert "Step train failed with exit code 1; its last words: FileNotFoundError: 'labels.csv'. Cure:" in message


def test_a_log_that_cannot_be_read_delays_no_verdict(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bench.running()
    bench.engine.fail(name, "main: Error (exit code 1)")

    def away(*_: Any) -> bytes:
        raise EngineUnavailable("the node does not answer")

    monkeypatch.setattr(bench.engine, "logs", away)
    bench.tick(2)
    assert "failed with exit code 1 and gave no cause" in (bench.job(name).message or "")


def test_logs_come_home_piece_by_piece_and_are_kept(bench: Bench) -> None:
    name = bench.running()
    home = bench.settings.resolved_home()
    path = home / "logs" / f"job-{job_id_of(name)}" / "1" / "train.log"
    node = (name, f"{name}-train")
    bench.engine.output[node] = b"epoch 1\n"
    bench.tick()
    assert path.read_bytes() == b"epoch 1\n"
    bench.engine.output[node] += b"epoch 2\n"
    bench.restart()
    bench.tick()
    assert path.read_bytes() == b"epoch 1\nepoch 2\n"
    bench.engine.output[node] += b"x" * (9 << 20)
    bench.engine.fail(name, "boom")
    bench.tick(2)
    assert bench.attempt(name).closed
    assert bench.shelf.kept[f"logs/job-{job_id_of(name)}/attempt-1/train.log"] == bench.engine.output[node]


def test_storage_that_is_away_delays_closing_but_not_for_ever(bench: Bench) -> None:
    name = bench.running()
    bench.engine.output[(name, f"{name}-train")] = b"words\n"
    bench.shelf.away = True
    bench.engine.fail(name, "boom")
    bench.tick(2)
    assert bench.job(name).state == State.FAILED
    assert not bench.attempt(name).closed
    bench.tick(60, seconds=4)
    assert not bench.attempt(name).closed, "its pods are still there, and so are its logs"
    bench.tick(90, seconds=4)
    assert bench.attempt(name).closed
    assert bench.told(name, "platform") == ["reconcile_trouble", "logs_not_kept"]


def test_an_engine_that_was_away_has_not_used_up_the_patience_with_the_storage(bench: Bench) -> None:
    name = bench.running()
    bench.engine.output[(name, f"{name}-train")] = b"words\n"
    bench.engine.available = False
    bench.tick(200, seconds=5)
    bench.engine.available, bench.shelf.away = True, True
    bench.engine.fail(name, "boom")
    bench.tick(30, seconds=4)
    assert not bench.attempt(name).closed
    bench.shelf.away = False
    bench.tick(30, seconds=4)
    assert bench.attempt(name).closed
    assert any(key.endswith("train.log") for key in bench.shelf.kept)


def test_a_workflow_deleted_from_outside(bench: Bench) -> None:
    name = bench.running()
    bench.engine.workflows.pop(name)
    bench.tick(2)
    job = bench.job(name)
    assert (job.state, job.reason) == (State.FAILED, Reason.WORKFLOW_DELETED)
    assert "retry" in (job.message or "")
    assert bench.attempt(name).closed


def test_an_engine_that_is_away_is_told_once_and_changes_nothing(bench: Bench) -> None:
    names = [bench.running() for _ in range(5)]
    before = {name: len(bench.events(name)) + 1 for name in names}
    bench.engine.available = False
    bench.tick(40)
    assert all(bench.job(name).state == State.RUNNING for name in names)
    assert all(bench.told(name, "platform") == ["engine_away"] for name in names)
    assert "connection refused" in bench.events(names[0], kind="platform")[0].message
    bench.engine.available = True
    bench.clock.advance(60)
    for name in names:
        bench.engine.advance(name)
    bench.tick()
    assert all(len(bench.events(name)) == before[name] + 1 for name in names)


def test_one_broken_job_does_not_keep_the_others_from_being_followed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = bench.running(), bench.running()
    get = bench.engine.get

    def broken(name: str) -> dict[str, Any] | None:
        if name == bad:
            raise ValueError("unreadable state")
        return get(name)

    monkeypatch.setattr(bench.engine, "get", broken)
    bench.engine.advance(good)
    bench.tick(20)
    assert bench.told(good, "step")[-1] == "step_succeeded"
    assert bench.told(bad, "platform") == ["reconcile_trouble"]
    monkeypatch.undo()
    bench.engine.advance(bad)
    bench.clock.advance(60)
    bench.tick()
    assert bench.told(bad, "step")[-1] == "step_succeeded"


def test_a_deleted_job_leaves_no_workflow_behind(bench: Bench) -> None:
    name = bench.running()
    bench.engine.fail(name, "boom")
    bench.tick(2)
    with bench.database.write() as session:
        session.delete(session.get_one(Job, job_id_of(name)))
    bench.clock.advance(601)
    bench.tick()
    assert name not in bench.engine.workflows


def test_the_engine_forgets_what_ended_long_ago_and_nothing_else(bench: Bench) -> None:
    runs = bench.running()
    ended = [bench.running() for _ in range(KEEP_NEWEST + 2)]
    bench.engine.workflows["someone-elses"] = {"metadata": {"name": "someone-elses"}, "status": {"phase": "Running"}}
    for name in ended:
        bench.engine.fail(name, "boom")
        bench.tick(2, seconds=1)
    bench.clock.advance(601)
    bench.tick()
    assert [name for name in ended if name not in bench.engine.workflows] == ended[:2]
    bench.heartbeat(runs)
    bench.clock.advance(timedelta(days=1).total_seconds())
    bench.heartbeat(runs)
    bench.tick()
    assert set(bench.engine.workflows) == {runs, "someone-elses"}


def test_a_slow_engine_does_not_overwrite_a_cancel(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bench.create()
    bench.tick()
    bench.engine.advance(name)
    get = bench.engine.get

    def slow(wanted: str) -> dict[str, Any] | None:
        found = get(wanted)
        bench.cancel(name)
        return found

    monkeypatch.setattr(bench.engine, "get", slow)
    bench.tick()
    assert bench.job(name).state == State.CANCELLING
    monkeypatch.undo()
    bench.tick(2)
    assert bench.job(name).state == State.CANCELLED


def test_unavailable_in_the_middle_of_logs_is_no_failure(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    name = bench.running()

    def away(*_: Any) -> bytes:
        raise EngineUnavailable("no route to host")

    monkeypatch.setattr(bench.engine, "logs", away)
    bench.engine.advance(name)
    bench.tick(30)
    assert bench.job(name).state == State.RUNNING
    assert bench.told(name, "step")[-1] == "step_succeeded"
    assert bench.told(name, "platform") == []


def test_logs_out_of_reach_keep_no_other_job_from_its_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    dark = [bench.running() for _ in range(6)]
    healthy = [bench.running() for _ in range(3)]
    read = bench.engine.logs

    def logs(name: str, node_id: str, offset: int) -> bytes:
        if name in dark:
            raise EngineUnavailable("the node does not answer")
        return read(name, node_id, offset)

    monkeypatch.setattr(bench.engine, "logs", logs)
    bench.restart()
    bench.tick(4)
    for name in healthy:
        bench.engine.fail(name, "main: Error (exit code 1)")
    bench.tick(4)
    assert {bench.job(name).state for name in healthy} == {State.FAILED}


def test_a_look_that_broke_off_goes_on_where_it_stopped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted(bench.running() for _ in range(8))
    get = bench.engine.get

    def some(name: str) -> dict[str, Any] | None:
        if name in names[:6]:
            raise EngineUnavailable("busy")
        return get(name)

    monkeypatch.setattr(bench.engine, "get", some)
    for name in names[6:]:
        bench.engine.fail(name, "main: Error (exit code 1)")
    bench.tick(6, seconds=61)
    assert {bench.job(name).state for name in names[6:]} == {State.FAILED}


def test_a_pod_that_vanishes_again_and_again_is_no_endless_training(bench: Bench) -> None:
    name = bench.running()
    for _ in range(6):
        bench.engine.node(name, "train", "Pending")
        bench.tick()
        bench.engine.node(name, "train", "Running")
        bench.tick()
    bench.tick(2)
    assert bench.job(name).reason == Reason.PREEMPTED
    assert "vanished 6 times" in (bench.job(name).message or "")


def test_a_workflow_started_again_in_the_engine_is_stopped_and_never_removed_while_it_runs(bench: Bench) -> None:
    name = bench.running()
    bench.engine.fail(name, "main: Error (exit code 1)")
    bench.tick(2)
    assert bench.attempt(name).closed
    status = bench.engine.workflows[name]["status"]
    status["phase"] = "Running"
    bench.engine.calls.clear()
    bench.clock.advance(3 * 24 * 3600)
    bench.tick()
    assert ("stop", name) in bench.engine.calls
    assert ("delete", name) not in bench.engine.calls
    assert bench.told(name, "platform")[-1] == "started_again"


def test_the_word_of_a_try_that_another_follows_is_forgotten(bench: Bench) -> None:
    name = bench.running()
    bench.checkpoint(name)
    bench.done(name, "cancelled", final_metrics={"val/accuracy": 0.3})
    bench.clock.advance(30)
    # Its pod went, and the engine runs it again below the same id.
    bench.engine.node(name, "train", "Pending")
    bench.tick()
    assert bench.attempt(name).done_status is None
    bench.engine.node(name, "train", "Running")
    bench.clock.advance(300)
    bench.done(name, "succeeded", final_metrics={"val/accuracy": 0.9})
    bench.engine.node(name, "train", "Succeeded")
    bench.engine.end(name, "Succeeded")
    bench.tick(2)
    job = bench.job(name)
    assert (job.state, job.final_metrics) == (State.SUCCEEDED, {"val/accuracy": 0.9})


def test_a_success_that_was_told_stays_told(bench: Bench) -> None:
    name = bench.running()
    bench.checkpoint(name)
    bench.done(name, "succeeded", final_metrics={"val/accuracy": 0.9})
    bench.engine.node(name, "train", "Pending")
    bench.tick()
    assert bench.attempt(name).done_status == "succeeded"
