"""Pods that cannot start: warned about, then stopped, with the cluster's own words in the record."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from api.db import Database
from api.jobs.status import Reason, State
from api.reconciler.waiting import kind_of
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench
from workflows.spec import JobSpec

IMAGE = 'ErrImagePull: failed to pull and unpack image "registry.invalid/absent:1"'
BACKOFF = 'ImagePullBackOff: Back-off pulling image "registry.invalid/absent:1"'
NO_ROOM = "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


@pytest.fixture
def cluster(settings: Settings, database: Database, clock: Clock) -> Bench:
    """A reconciler whose engine is a cluster's."""
    return Bench(settings.model_copy(update={"engine": "argo"}), database, clock)


def waiting(bench: Bench, message: str, **values: Any) -> str:
    """Records a job whose train step waits."""
    name = bench.running("download", **values)
    bench.engine.node(name, "download", "Succeeded")
    bench.engine.node(name, "train", "Pending", message=message)
    return name


@pytest.mark.parametrize(
    ("cause", "mends"),
    [
        ('ErrImagePull: failed to pull and unpack image "reg.example/x/trainer:build-42913": not found', False),
        ("ErrImagePull: failed to pull image trainer@sha256:ab429cd: manifest unknown", False),
        ("ErrImagePull: rpc error: failed to resolve reference reg.example/trainer:502: not found", False),
        ('ErrImagePull: failed to pull image "reg.example/x:429": unauthorized', False),
        ('ErrImagePull: failed to pull image "reg.example/x:1": unexpected status: 429 Too Many Requests', True),
        ('ErrImagePull: failed to pull image "reg.example/x:1": unexpected status: 503 Service Unavailable', True),
    ],
)
def test_numbers_in_the_name_of_an_image_are_no_answers_of_its_registry(cause: str, mends: bool) -> None:
    assert kind_of(cause) == (Reason.IMAGE_PULL, mends)


def minutes(bench: Bench, count: float) -> None:
    for _ in range(round(count * 2)):
        bench.tick(seconds=30)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (IMAGE, Reason.IMAGE_PULL),
        ('CreateContainerConfigError: secret "absent" not found', Reason.MISSING_SECRET),
        ("CreateContainerConfigError: container has runAsNonRoot and image will run as root", Reason.CONFIG_ERROR),
    ],
)
def test_what_no_time_mends_is_warned_about_and_fails_after_minutes(
    cluster: Bench, message: str, reason: Reason
) -> None:
    name = waiting(cluster, message)
    minutes(cluster, 1.5)
    assert cluster.told(name, "platform") == []
    minutes(cluster, 1.5)
    assert cluster.told(name, "platform") == ["waiting"]
    warning = cluster.events(name, kind="platform")[0].message
    assert message in warning
    assert "fails after 15 min" in warning
    minutes(cluster, 11)
    assert cluster.job(name).state == State.RUNNING
    minutes(cluster, 3)
    job = cluster.job(name)
    assert (job.state, job.reason) == (State.FAILED, reason)
    assert message in (job.message or "")
    assert "Cure: " in (job.message or "")
    assert ("stop", name) in cluster.engine.calls


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (NO_ROOM, Reason.UNSCHEDULABLE),
        ("PodInitializing", Reason.NOT_STARTED),
        ('pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1', Reason.QUOTA),
        (
            "Unschedulable: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            Reason.VOLUME,
        ),
        ('Unschedulable: 0/1 nodes are available: persistentvolumeclaim "cache" not found.', Reason.VOLUME),
    ],
)
def test_what_may_come_is_waited_for_as_long_as_the_job_says(cluster: Bench, message: str, reason: Reason) -> None:
    asked = {"framework": "toy", "dataset": "digits", "limits": {"pending": "2h"}}
    name = waiting(cluster, message, spec=JobSpec.from_mapping(asked).resolved().to_mapping())
    minutes(cluster, 110)
    assert cluster.job(name).state == State.RUNNING
    minutes(cluster, 15)
    job = cluster.job(name)
    assert (job.state, job.reason) == (State.FAILED, reason)
    assert "waited 2 h" in (job.message or "")


def test_room_that_comes_is_no_failure_and_the_next_wait_counts_anew(cluster: Bench) -> None:
    name = waiting(cluster, NO_ROOM, spec={"limits": {"pending": "1h"}})
    minutes(cluster, 50)
    cluster.engine.node(name, "train", "Running")
    minutes(cluster, 1)
    # The pod vanished: the same node waits again, with its first startedAt.
    cluster.engine.node(name, "train", "Pending", message=NO_ROOM)
    minutes(cluster, 50)
    assert cluster.job(name).state == State.RUNNING
    minutes(cluster, 15)
    assert cluster.job(name).reason == Reason.UNSCHEDULABLE


def test_words_in_turns_are_one_wait_and_one_warning(cluster: Bench) -> None:
    name = waiting(cluster, IMAGE)
    for turn in range(20):
        cluster.engine.node(name, "train", "Pending", message=IMAGE if turn % 2 else BACKOFF)
        minutes(cluster, 0.5)
    assert cluster.told(name, "platform") == ["waiting"]
    minutes(cluster, 7)
    assert cluster.job(name).reason == Reason.IMAGE_PULL


def test_a_wait_that_was_told_is_not_written_again(cluster: Bench, database: Database) -> None:
    name = waiting(cluster, NO_ROOM)
    minutes(cluster, 3)
    assert cluster.told(name, "platform") == ["waiting"]
    written: list[str] = []

    def see(_: Any, __: Any, statement: str, *___: Any) -> None:
        written.extend([statement] if statement.startswith("BEGIN IMMEDIATE") else [])

    event.listen(database.engine, "before_cursor_execute", see)
    minutes(cluster, 5)
    assert written == []


def test_a_restart_does_not_begin_the_wait_anew(cluster: Bench) -> None:
    name = waiting(cluster, IMAGE)
    minutes(cluster, 10)
    cluster.restart()
    minutes(cluster, 7)
    assert cluster.job(name).reason == Reason.IMAGE_PULL


def test_a_workflow_that_waits_for_a_lock_is_removed_for_it_hears_no_stop(cluster: Bench) -> None:
    cluster.settings = cluster.settings.model_copy(update={"pending_limit": 600})
    cluster.restart()
    name = cluster.create()
    cluster.tick()
    cluster.engine.deaf = True
    cluster.engine.workflows[name]["status"] = {"phase": "Pending", "message": "Waiting for jobs/Mutex/one lock."}
    minutes(cluster, 11)
    assert ("stop", name) in cluster.engine.calls
    minutes(cluster, 3)
    assert name not in cluster.engine.workflows
    job = cluster.job(name)
    assert (job.state, job.reason) == (State.FAILED, Reason.LOCK)
    assert "Waiting for jobs/Mutex/one lock" in (job.message or "")


def test_a_deadline_counts_while_pods_wait(cluster: Bench) -> None:
    name = waiting(cluster, NO_ROOM, spec={"limits": {"total": "1h"}})
    minutes(cluster, 61)
    assert cluster.job(name).state == State.RUNNING
    minutes(cluster, 5)
    job = cluster.job(name)
    assert (job.state, job.reason) == (State.FAILED, Reason.DEADLINE)


def test_this_machines_own_queue_has_no_clock(bench: Bench) -> None:
    name = waiting(bench, NO_ROOM)
    minutes(bench, 60)
    assert bench.told(name, "platform") == []
    assert bench.job(name).state == State.RUNNING


def test_a_cancel_is_not_overtaken_by_the_clock(cluster: Bench) -> None:
    name = waiting(cluster, IMAGE)
    minutes(cluster, 14)
    cluster.cancel(name)
    minutes(cluster, 5)
    assert cluster.job(name).state == State.CANCELLED


def test_who_waited_long_for_room_has_not_waited_for_its_image(cluster: Bench) -> None:
    name = waiting(cluster, NO_ROOM)
    minutes(cluster, 120)
    cluster.engine.node(name, "train", "Pending", message=IMAGE)
    minutes(cluster, 3)
    assert cluster.job(name).state == State.RUNNING
    cluster.restart()
    minutes(cluster, 14)
    assert cluster.job(name).reason == Reason.IMAGE_PULL


def test_a_registry_that_is_busy_may_mend_itself(cluster: Bench) -> None:
    busy = 'ErrImagePull: failed to pull image "own/trainer:3": 429 Too Many Requests'
    name = waiting(cluster, busy)
    for _ in range(10):
        minutes(cluster, 1)
        cluster.engine.node(
            name, "train", "Pending", message='ImagePullBackOff: Back-off pulling image "own/trainer:3"'
        )
        minutes(cluster, 1)
        cluster.engine.node(name, "train", "Pending", message=busy)
    assert cluster.job(name).state == State.RUNNING
    assert "429" in cluster.events(name, kind="platform")[0].message


def test_an_exit_handler_that_waits_is_not_the_jobs_fault(cluster: Bench) -> None:
    name = cluster.running("report")
    cluster.checkpoint(name)
    cluster.engine.node(name, "report", "Succeeded")
    cluster.engine.node(name, "on-exit", "Pending", message=IMAGE)
    minutes(cluster, 60)
    assert "stopping" not in cluster.told(name, "platform")
    minutes(cluster, 70)
    assert ("terminate", name) in cluster.engine.calls
