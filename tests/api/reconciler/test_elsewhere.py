"""Settings that lead to another engine, namespace or cluster end no job that runs where they led before."""

from __future__ import annotations

import pytest

from api.db import Database
from api.jobs.status import Reason, State
from api.models import Attempt
from api.reconciler.cancel import REMOVE_AFTER
from api.reconciler.places import certain, is_here, same
from api.settings import Settings
from tests.api.factories import Clock, create_job
from tests.api.reconciler.bench import Bench

OLD, NEW = "argo/old", "argo/new"


class Moves:
    """Starts the reconciler anew with settings that lead elsewhere; what ran before goes on there."""

    def __init__(self, bench: Bench, place: str = OLD) -> None:
        self.bench = bench
        self.kept = {place: bench.engine.workflows}
        bench.engine.place = place

    def to(self, place: str) -> None:
        self.bench.engine.place = place
        self.bench.engine.workflows = self.kept.setdefault(place, {})
        self.bench.restart()


def told(bench: Bench, name: str, kind: str) -> str:
    return "\n".join(event.message for event in bench.events(name) if event.event_type == kind)


def ends(bench: Bench, name: str) -> None:
    bench.engine.until(name, "report")
    bench.engine.advance(name)
    bench.checkpoint(name)
    bench.tick(3)


def test_a_running_job_is_left_alone_and_found_again(bench: Bench) -> None:
    moves = Moves(bench)
    name = bench.running()
    moves.to(NEW)
    before = len(bench.engine.calls)
    bench.tick(40, seconds=60)
    assert bench.job(name).state == State.RUNNING
    assert ("get", name) not in bench.engine.calls[before:]
    bench.restart()
    bench.tick(3)
    text = told(bench, name, "elsewhere")
    assert text.count("runs in argo/old") == 1
    assert "set TIPHYS_ENGINE=argo and TIPHYS_ARGO_NAMESPACE=old until it has ended, or cancel it" in text
    moves.to(OLD)
    ends(bench, name)
    assert bench.job(name).state == State.SUCCEEDED


def test_another_cluster_with_the_same_namespace_is_elsewhere(bench: Bench) -> None:
    moves = Moves(bench, "argo/jobs@one")
    name = bench.running()
    moves.to("argo/jobs@two")
    bench.tick(3)
    assert bench.job(name).state == State.RUNNING
    assert "argo/jobs of another cluster" in told(bench, name, "elsewhere")
    assert "TIPHYS_KUBE_CONTEXT" in told(bench, name, "elsewhere")


def test_nothing_is_gone_while_it_is_not_known_which_cluster_this_is(bench: Bench) -> None:
    moves = Moves(bench, "argo/jobs@one")
    name = bench.running()
    moves.to("argo/jobs")
    bench.tick(10, seconds=10)
    assert bench.job(name).state == State.RUNNING
    moves.to("argo/jobs@one")
    bench.engine.workflows.clear()
    bench.tick(3)
    assert bench.job(name).reason == Reason.WORKFLOW_DELETED


def test_those_elsewhere_take_no_place_of_new_ones(settings: Settings, database: Database, clock: Clock) -> None:
    bench = Bench(settings.model_copy(update={"max_active_jobs": 1}), database, clock)
    moves = Moves(bench)
    old = bench.running()
    moves.to(NEW)
    new = bench.running()
    assert bench.attempt(new).place == NEW
    ends(bench, new)
    assert bench.job(new).state == State.SUCCEEDED
    assert bench.job(old).state == State.RUNNING


def test_a_cancelled_one_ends_and_its_workflow_is_named(bench: Bench) -> None:
    moves = Moves(bench)
    name = bench.running()
    moves.to(NEW)
    bench.tick()
    bench.cancel(name)
    bench.tick(3)
    assert bench.job(name).state == State.CANCELLING
    bench.clock.advance(REMOVE_AFTER.total_seconds())
    bench.tick(2)
    assert bench.job(name).state == State.CANCELLED
    assert bench.attempt(name).closed
    assert f"The workflow {name} in argo/old could not be ended from here" in told(bench, name, "left_behind")


def test_one_that_had_ended_keeps_its_logs_and_is_not_called_left_behind(bench: Bench) -> None:
    moves = Moves(bench)
    name = bench.running()
    bench.engine.output[name, f"{name}-train"] = b"epoch 1\n"
    bench.tick()
    bench.shelf.away = True
    ends(bench, name)
    assert not bench.attempt(name).closed
    moves.to(NEW)
    bench.shelf.away = False
    bench.tick()
    bench.clock.advance(REMOVE_AFTER.total_seconds())
    bench.tick(2)
    assert bench.attempt(name).closed
    assert any(key.endswith("train.log") for key in bench.shelf.kept)
    assert not told(bench, name, "left_behind")


def test_a_submit_that_was_not_heard_goes_anew_to_the_place_that_was_put_right(bench: Bench) -> None:
    moves = Moves(bench, "argo/mistyped")
    bench.engine.available = False
    name = bench.create()
    bench.tick(5)
    bench.engine.available = True
    moves.to(NEW)
    built = len(bench.builds)
    bench.tick(3, seconds=60)
    assert bench.job(name).state == State.QUEUED
    assert bench.attempt(name).place == NEW
    assert len(bench.builds) == built + 1  # for the settings of now


def test_one_in_doubt_waits_until_it_is_known_which_cluster_this_is(bench: Bench) -> None:
    moves = Moves(bench, "argo/jobs@one")
    name = in_doubt(bench)
    moves.to("argo/jobs")
    bench.tick(3, seconds=60)
    assert bench.job(name).state == State.PENDING
    assert not bench.engine.created
    moves.to("argo/jobs@one")
    bench.tick(2, seconds=60)
    assert bench.job(name).state == State.QUEUED


def in_doubt(bench: Bench) -> str:
    """Returns a job whose submit may have been heard."""
    bench.engine.available = bench.engine.unheard = False
    name = bench.create()
    bench.tick(2)
    bench.engine.unheard = True  # the first try alone was in doubt
    bench.tick(2, seconds=60)
    bench.engine.available = True
    return name


def test_a_submit_that_may_have_been_heard_goes_nowhere_else(bench: Bench) -> None:
    moves = Moves(bench)
    name = in_doubt(bench)
    moves.to(NEW)
    bench.tick(3, seconds=60)
    assert bench.job(name).state == State.PENDING
    assert not bench.engine.created
    assert f"remove workflow {name} there, then cancel the job and retry it" in told(bench, name, "elsewhere")
    moves.to(OLD)
    bench.tick(3, seconds=60)
    assert bench.job(name).state == State.QUEUED
    assert bench.engine.created == {name: 1}


def test_one_in_doubt_that_was_cancelled_is_still_ended_where_it_may_run(bench: Bench) -> None:
    moves = Moves(bench)
    name = in_doubt(bench)
    moves.to(NEW)
    bench.cancel(name)
    bench.tick(3, seconds=60)
    assert not bench.attempt(name).closed
    moves.to(OLD)
    bench.tick(3)
    assert ("delete", name) in bench.engine.calls
    assert bench.attempt(name).closed


def test_those_in_doubt_keep_no_newer_job_from_its_turn(settings: Settings, database: Database, clock: Clock) -> None:
    bench = Bench(settings.model_copy(update={"max_active_jobs": 2}), database, clock)
    moves = Moves(bench)
    for _ in range(3):
        in_doubt(bench)
    moves.to(NEW)
    new = bench.create()
    bench.tick(2)
    assert bench.job(new).state == State.QUEUED


def test_records_of_before_learn_their_place_at_the_next_look(bench: Bench) -> None:
    moves = Moves(bench)
    name = bench.running()
    with bench.database.write() as session:
        row = session.get_one(Attempt, (name.split("-")[1], 1))
        row.place = row.status_digest = None
    bench.restart()
    bench.tick()
    assert bench.attempt(name).place == OLD
    moves.to(NEW)
    bench.tick(3)
    assert bench.job(name).state == State.RUNNING


PLACES = [None, "local", "argo/a", "argo/a@?", "argo/a@1", "argo/a@2", "argo/b@1", "argo/ab@1"]


@pytest.mark.parametrize("here", [place for place in PLACES if place])
def test_the_database_and_the_reconciler_compare_alike(database: Database, here: str) -> None:
    with database.write() as session:
        for place in PLACES:
            job = create_job(session)
            session.flush()
            session.get_one(Attempt, (job.id, 1)).place = place
    with database.read() as session:
        found = {attempt.place for attempt in session.query(Attempt).filter(is_here(here))}
    assert found == {place for place in PLACES if same(place, here)}
    assert None in found
    assert here in found


def test_what_is_certain() -> None:
    assert certain("argo/a@1", "argo/a@1")
    assert certain("argo/a@1", "argo/a@?")
    assert certain(None, "argo/a")
    assert certain("local", "local")
    assert not certain("argo/a@1", "argo/a")
