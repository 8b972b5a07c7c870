"""A cancelled job is cancelled however its workflow was broken off, unless all was done before."""

from __future__ import annotations

import pytest

from api.jobs.status import Reason
from tests.api.reconciler.test_verdict import C, S, judge


@pytest.mark.parametrize(
    "scenario", ["stop-while-training", "terminate-while-training", "train-exit-1", "oom", "unschedulable"]
)
def test_a_cancelled_job_is_cancelled_however_its_workflow_was_broken_off(scenario: str) -> None:
    found = judge(scenario, cancelling=True, epoch=4, done={"status": "succeeded"})
    assert (found.state, found.reason) == (C, Reason.USER)
    assert "in epoch 4" in found.message


def test_a_cancel_that_came_when_all_was_done_throws_nothing_away() -> None:
    found = judge("success", cancelling=True, epoch=4, done={"status": "succeeded"})
    assert (found.state, found.reason) == (S, Reason.COMPLETED)
    assert "The cancel came when everything was done" in found.warnings[0]
    # Without the trainer's word nobody knows whether it had finished or heard the cancel.
    for done in (None, {"status": "cancelled"}):
        assert judge("success", cancelling=True, epoch=4, done=done).state is C
