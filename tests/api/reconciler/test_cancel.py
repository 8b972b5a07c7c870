"""A cancel always ends: at once without a trainer, after its grace with one, by force where nothing helps."""

from __future__ import annotations

from api.jobs.status import Reason, State
from api.reconciler.cancel import REMOVE_AFTER
from tests.api.reconciler.bench import Bench


def verbs(bench: Bench) -> list[str]:
    return [verb for verb, _ in bench.engine.calls if verb in ("stop", "terminate", "delete")]


def test_before_training_the_workflow_is_stopped_at_once(bench: Bench) -> None:
    name = bench.running("convert")
    bench.cancel(name)
    bench.tick(3)
    assert verbs(bench) == ["stop"]
    job = bench.job(name)
    assert (job.state, job.reason) == (State.CANCELLED, Reason.USER)


def test_a_trainer_has_its_grace(bench: Bench) -> None:
    name = bench.running()
    bench.cancel(name)
    bench.tick(100)
    assert verbs(bench) == []
    assert bench.job(name).state == State.CANCELLING
    bench.tick(25)
    assert verbs(bench) == ["stop"]
    assert bench.job(name).state == State.CANCELLED


def test_a_trainer_has_its_grace_as_soon_as_it_is_heard(bench: Bench) -> None:
    name = bench.running("convert")
    bench.engine.node(name, "train", "Pending")
    bench.clock.advance(5)
    bench.heartbeat(name)
    bench.cancel(name)
    bench.tick(100)
    assert verbs(bench) == []
    bench.tick(25)
    assert verbs(bench) == ["stop"]


def test_what_an_earlier_try_said_gives_no_grace_to_one_that_waits(bench: Bench) -> None:
    name = bench.running()
    bench.heartbeat(name)
    bench.clock.advance(5)
    bench.engine.workflows[name]["status"]["nodes"].pop(f"{name}-train")
    bench.engine.node(name, "train", "Pending")
    bench.cancel(name)
    bench.tick(3)
    assert verbs(bench) == ["stop"]


def test_a_trainer_that_hears_it_is_not_stopped(bench: Bench) -> None:
    name = bench.running()
    bench.checkpoint(name)
    bench.cancel(name)
    bench.done(name, "cancelled")
    for _ in range(8):
        bench.engine.advance(name)
    bench.tick(2)
    assert verbs(bench) == []
    job = bench.job(name)
    assert job.state == State.CANCELLED
    assert "checkpoints are kept" in (job.message or "")


def test_a_deaf_workflow_is_terminated_and_at_last_removed(bench: Bench) -> None:
    name = bench.running()
    bench.engine.deaf = True
    bench.cancel(name)
    bench.tick(70, seconds=2)
    assert verbs(bench) == ["stop", "terminate"]
    assert bench.job(name).state == State.CANCELLING
    bench.clock.advance(REMOVE_AFTER.total_seconds())
    bench.tick(2)
    assert verbs(bench)[-1] == "delete"
    assert bench.job(name).state == State.CANCELLED
    assert bench.attempt(name).closed


def test_the_exit_handler_has_time_to_find_a_node_once_all_else_has_ended(bench: Bench) -> None:
    name = bench.running("train")
    bench.engine.deaf = True
    bench.cancel(name)
    bench.clock.advance(61)
    bench.tick(2)
    assert ("stop", name) in bench.engine.calls
    bench.engine.node(name, "train", "Failed", message="workflow shutdown with strategy:  Stop", exit_code=143)
    bench.engine.node(name, "on-exit", "Pending")
    bench.clock.advance(120)
    bench.tick(2)
    assert ("terminate", name) not in bench.engine.calls
    bench.clock.advance(120)
    bench.tick(2)
    assert ("terminate", name) in bench.engine.calls


def test_a_cancel_outlives_a_restart_of_the_reconciler(bench: Bench) -> None:
    name = bench.running()
    bench.cancel(name)
    bench.tick(2)
    bench.restart()
    bench.tick(130)
    assert verbs(bench) == ["stop"]
    assert bench.job(name).state == State.CANCELLED


def test_a_cancelled_job_whose_workflow_is_deleted_is_cancelled(bench: Bench) -> None:
    name = bench.running()
    bench.cancel(name)
    bench.engine.workflows.pop(name)
    bench.tick(2)
    assert bench.job(name).state == State.CANCELLED
