"""What follows a failed attempt."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.local.quantities import duration, quantity, spoken
from workflows.local.retry import Attempt, Decision, backoff_seconds, decide

NOW = 1_000_000.0


def after(strategy: dict[str, Any], **more: Any) -> Decision:
    node = {
        "phase": more.pop("phase", "Failed"),
        "message": "main: Error (exit code 75)",
        "outputs": {"exitCode": "75"},
    }
    last = Attempt(node=node, started=NOW - 10, finished=NOW)
    given = {"attempts": 1, "first_started": NOW - 10, "now": NOW, "shutdown": None, "deadline": None} | more
    return decide(strategy, last, **given)


@pytest.mark.parametrize(
    ("strategy", "more", "kind", "message"),
    [
        ({"limit": 1}, {}, "again", ""),
        ({"limit": "1"}, {"attempts": 2}, "end", "No more retries left"),
        ({"limit": 1, "retryPolicy": "OnError"}, {}, "end", "main: Error (exit code 75)"),
        ({"limit": 1, "retryPolicy": "OnError"}, {"phase": "Error"}, "again", ""),
        ({"limit": 1, "retryPolicy": "OnFailure"}, {"phase": "Error"}, "end", "main: Error (exit code 75)"),
        ({"limit": 1, "retryPolicy": "OnTransientError"}, {}, "end", "main: Error (exit code 75)"),
        ({"limit": 1, "retryPolicy": "Always"}, {"phase": "Error"}, "again", ""),
        ({"limit": 1, "expression": "lastRetry.status == 'Error'"}, {"phase": "Error"}, "again", ""),
        ({"limit": 1, "expression": "false"}, {}, "end", "retryStrategy.expression evaluated to false"),
        ({"limit": 1}, {"shutdown": "Stop"}, "end", "Stopped with strategy 'Stop'"),
        (
            {"limit": 1},
            {"deadline": NOW - 1},
            "end",
            "retry exceeded workflow deadline 1970-01-12 13:46:39 +0000 UTC",
        ),
        ({"limit": 9, "backoff": {"duration": "30s", "factor": 2}}, {"attempts": 3}, "wait", "Backoff for 2 minutes"),
        ({"limit": 9, "backoff": {"duration": "30s"}}, {"now": NOW + 30}, "again", ""),
        (
            {"limit": 9, "backoff": {"duration": "30s", "maxDuration": "20s"}},
            {},
            "end",
            "Backoff would exceed max duration limit",
        ),
        (
            {"limit": 9, "backoff": {"duration": "1s", "maxDuration": "20s"}},
            {"now": NOW + 60},
            "end",
            "Max duration limit exceeded",
        ),
        # No use in waiting for a retry that will not come.
        ({"limit": 9, "expression": "false", "backoff": {"duration": "1h"}}, {}, "end",
         "retryStrategy.expression evaluated to false"),
    ],
)  # fmt: skip
def test_decision(strategy: dict[str, Any], more: dict[str, Any], kind: str, message: str) -> None:
    assert after(strategy, **more) == Decision(kind=kind, message=message)


def test_backoff_grows_to_its_cap() -> None:
    backoff = {"duration": "10s", "factor": "2", "cap": "1m"}
    assert [backoff_seconds(backoff, attempts=count) for count in (1, 2, 3, 4, 900)] == [10, 20, 40, 60, 60]
    assert backoff_seconds({}, attempts=3) == 0


def test_amounts() -> None:
    assert [quantity(text) for text in ("500m", "2", "1Gi", "1e3", 3, "0.5", "64Mi")] == [
        0.5, 2, 2**30, 1000, 3, 0.5, 64 * 2**20,
    ]  # fmt: skip
    assert [duration(text) for text in ("30s", "2m", "1h30m", 7, "90", "1d")] == [30, 120, 5400, 7, 90, 86400]
    assert [spoken(value) for value in (3, 60, 90, 3600, 0)] == [
        "3 seconds", "1 minute", "1 minute 30 seconds", "1 hour", "0 seconds",
    ]  # fmt: skip
    for wrong in ("", "1Q", "-1", "1 Gi", True, None):
        with pytest.raises(ValueError):
            quantity(wrong)
    for wrong in ("", "5x", "-3s", "s", True):
        with pytest.raises(ValueError):
            duration(wrong)
