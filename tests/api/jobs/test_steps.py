"""The steps of a job, read from what a real controller wrote."""

from __future__ import annotations

from typing import Any

import pytest

from api.jobs.schemas import StepView
from api.jobs.steps import steps_of
from tests.api.reconciler.recorded import ending, looks

# The recorded workflows' DAG; their first step was called `fetch`.
ORDER = ("fetch", "convert", "train", "upload", "report")
MANIFEST: dict[str, Any] = {
    "spec": {
        "entrypoint": "main",
        "templates": [
            {"name": "main", "dag": {"tasks": [{"name": name, "template": name} for name in ORDER]}},
            {"name": "train", "annotations": {"workflows.argoproj.io/display-name": "Train softmax"}},
            {"name": "fetch", "annotations": {"workflows.argoproj.io/title": "Fetch digits"}},
        ],
    }
}


def by_name(scenario: str) -> dict[str, StepView]:
    return {step.name: step for step in steps_of(MANIFEST, ending(scenario)["status"])}


def test_steps_come_in_the_order_of_the_pipeline_with_their_titles() -> None:
    steps = steps_of(MANIFEST, None)
    assert [step.name for step in steps] == list(ORDER)
    assert [step.title for step in steps][:3] == ["Fetch digits", "Check and convert the dataset", "Train"]
    assert {(step.phase, step.attempts, step.started_at) for step in steps} == {("Pending", 0, None)}


def test_a_success() -> None:
    steps = by_name("success")
    assert {step.phase for step in steps.values()} == {"Succeeded"}
    for step in steps.values():
        assert step.started_at is not None
        assert step.finished_at is not None
        assert step.finished_at >= step.started_at
        assert step.attempts == 1


def test_what_came_after_a_failure_was_omitted() -> None:
    steps = by_name("fetch-fails")
    assert steps["fetch"].phase == "Failed"
    assert "no such dataset: 42" in (steps["fetch"].message or "")
    assert {steps[name].phase for name in ORDER[1:]} == {"Omitted"}
    assert {steps[name].attempts for name in ORDER[1:]} == {0}


def test_tries_are_counted_and_the_step_is_what_became_of_the_last() -> None:
    steps = by_name("train-exit-75-then-success")
    assert (steps["train"].phase, steps["train"].attempts) == ("Succeeded", 2)
    exhausted = by_name("retry-exhausted")["train"]
    assert exhausted.phase == "Failed"
    assert exhausted.attempts > 1
    assert exhausted.message


@pytest.mark.parametrize("scenario", ["train-exit-75-then-success", "unschedulable", "pod-vanishes-late"])
def test_every_status_on_the_way_can_be_read(scenario: str) -> None:
    seen = set()
    for look in looks(scenario):
        steps = steps_of(MANIFEST, look.get("status", look))
        assert [step.name for step in steps] == list(ORDER)
        seen |= {step.phase for step in steps}
    assert "Pending" in seen


def test_a_step_that_an_ended_workflow_never_met_was_omitted() -> None:
    steps = steps_of(MANIFEST, {"phase": "Failed", "message": "invalid spec", "nodes": {}})
    assert {step.phase for step in steps} == {"Omitted"}
