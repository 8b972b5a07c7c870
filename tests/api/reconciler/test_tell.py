"""Step events from comparing looks, on statuses that a real controller wrote."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.reconciler.tell import StepEvent, tell
from tests.api.reconciler.recorded import ending, looks


def told(statuses: list[dict[str, Any]]) -> list[StepEvent]:
    """Everything told over a series of looks, what is told once only once."""
    before: dict[str, Any] | None = None
    events: list[StepEvent] = []
    for status in statuses:
        known = {event.once for event in events if event.once}
        events += [event for event in tell(before, status) if event.once not in known]
        before = status
    return events


def words(events: list[StepEvent], step: str = "train") -> list[str]:
    return [event.event_type.removeprefix("step_") for event in events if event.data.get("step") == step]


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("train-exit-75-then-success", ["started", "retrying", "started", "succeeded"]),
        ("pod-vanishes-late", ["started", "retrying", "started", "succeeded"]),
        ("retried-after-failure", ["started", "failed", "retrying", "started", "succeeded"]),
        ("unschedulable", ["waiting", "failed"]),
    ],
)
def test_a_recorded_run_is_told(scenario: str, expected: list[str]) -> None:
    assert words(told(looks(scenario))) == expected


def test_events_carry_step_title_and_exit_code() -> None:
    events = told(looks("train-exit-75-then-success"))
    retrying = next(event for event in events if event.event_type == "step_retrying")
    assert retrying.message == "Train (try 2) follows after: main: Error (exit code 75)"
    assert retrying.level == "warning"
    succeeded = next(e for e in events if e.event_type == "step_succeeded" and e.data["step"] == "train")
    assert succeeded.data["exit_code"] == 0
    assert succeeded.data["try"] == 2


def test_a_jump_over_many_phases_is_told_whole() -> None:
    events = told([ending("oom")["status"]])
    assert words(events) == ["started", "failed"]
    assert words(events, "convert") == ["started", "succeeded"]
    assert words(events, "upload") == []
    failed = next(event for event in events if event.event_type == "step_failed")
    assert "OOMKilled" in failed.message
    assert failed.level == "error"


def test_a_wait_for_a_lock_is_told_once() -> None:
    waiting = {"phase": "Pending", "message": "Waiting for default/Mutex/one-job lock. Lock status: 0/1"}
    events = told([waiting, waiting, {**waiting, "progress": "0/1"}])
    assert [event.event_type for event in events] == ["workflow_waiting"]


def test_messages_that_come_in_turns_are_told_once_each() -> None:
    def pending(message: str) -> dict[str, Any]:
        node = {"id": "w-1", "name": "w.train(0)", "type": "Pod", "templateName": "train", "phase": "Pending"}
        return {"phase": "Running", "nodes": {"w-1": {**node, "message": message}}}

    turns = ["ErrImagePull: x", "ImagePullBackOff: x", "ErrImagePull: x", "PodInitializing"]
    assert words(told([pending(message) for message in turns])) == ["waiting", "waiting"]


@given(st.data())
def test_seeing_less_or_seeing_twice_tells_no_end_twice(data: st.DataObject) -> None:
    scenario = data.draw(st.sampled_from(["train-exit-75-then-success", "unschedulable"]))
    statuses = looks(scenario)
    times = data.draw(st.lists(st.integers(0, 2), min_size=len(statuses), max_size=len(statuses)))
    seen = [status for status, count in zip(statuses, times, strict=True) for _ in range(count)]
    events = told([*seen, statuses[-1]])
    ends = [(e.data["step"], e.event_type) for e in events if e.event_type in ("step_succeeded", "step_failed")]
    assert len(ends) == len(set(ends))
    assert set(ends) == {
        (e.data["step"], e.event_type) for e in tell(None, statuses[-1]) if "ed" in e.event_type[-2:]
    } - {(e.data["step"], "step_started") for e in tell(None, statuses[-1])}


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (
            "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
            "until CPU cores are free, and begins by",
        ),
        (
            "Unschedulable: 0/3 nodes are available: 1 Insufficient memory, 2 Insufficient nvidia.com/gpu.",
            "waits until memory and a GPU are free",
        ),
        ('ErrImagePull: "registry.invalid/absent:1"', "waits: ErrImagePull"),
    ],
)
def test_what_a_step_waits_for_is_said_in_plain_words(message: str, says: str) -> None:
    pod = {"id": "a", "name": "job.download", "templateName": "download", "type": "Pod", "phase": "Pending"}
    (event,) = tell(None, {"phase": "Running", "nodes": {"a": pod | {"message": message}}})
    assert event.event_type == "step_waiting"
    assert says in event.message
    assert message in event.message


def test_a_step_that_goes_on_without_a_gpu_does_not_wait() -> None:
    pod = {"id": "a", "name": "job.train", "templateName": "train", "type": "Pod", "phase": "Pending",
           "message": "no GPU on this machine: runs on the CPU"}  # fmt: skip
    (event,) = tell(None, {"phase": "Running", "nodes": {"a": pod}})
    assert event.event_type == "step_note"


def test_a_step_has_ended_where_its_retry_node_runs_on_in_a_workflow_that_has_not() -> None:
    # As Argo 3.7 leaves it behind when a trainer outlives a stop.
    def status(phase: str, last: str) -> dict[str, Any]:
        own = {"templateName": "train", "startedAt": "2026-01-01T00:00:00Z"}
        retry = {"id": "r", "name": "w.train", "displayName": "train", "type": "Retry", "phase": "Running"}
        pod = {"id": "p", "name": "w.train(0)", "displayName": "train(0)", "type": "Pod", "phase": last}
        return {"phase": phase, "nodes": {"r": own | retry | {"children": ["p"]}, "p": own | pod}}

    steps = [status("Running", "Running"), status("Running", "Failed"), status("Failed", "Failed")]
    pairs = itertools.pairwise([None, *steps, steps[-1]])
    assert [[event.event_type for event in tell(was, now)] for was, now in pairs] == [
        ["step_started"], [], ["step_failed"], [],
    ]  # fmt: skip
