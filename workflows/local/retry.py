"""Whether a failed attempt is followed by another one, when, and what the Retry node says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from workflows.local.expressions import Expression, ExpressionError
from workflows.local.quantities import duration, spoken
from workflows.local.status import ERROR, FAILED, Node

POLICIES = frozenset({"Always", "OnFailure", "OnError", "OnTransientError"})
VARIABLES = frozenset({"lastRetry.exitCode", "lastRetry.status", "lastRetry.duration", "lastRetry.message"})

# What a controller takes for a passing trouble of network or machine when the policy is OnTransientError.
_TRANSIENT = ("i/o timeout", "connection reset by peer", "connection refused", "TLS handshake timeout", "etcdserver")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The last attempt as the decision sees it; times in seconds since the epoch."""

    node: Node
    started: float
    finished: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows: `again` now, `wait` with a message, or the `end` with the Retry node's message."""

    kind: Literal["again", "wait", "end"]
    message: str = ""


def decide(
    strategy: Mapping[str, Any],
    last: Attempt,
    *,
    attempts: int,
    first_started: float,
    now: float,
    shutdown: str | None,
    deadline: float | None,
) -> Decision:
    """Decides what follows a failed attempt, in the order in which a controller asks.

    One difference is meant: where no retry will follow, the end is told at once instead of after the backoff.
    """
    if shutdown is not None:
        return Decision(kind="end", message=f"Stopped with strategy '{shutdown}'")
    if deadline is not None and now >= deadline:
        when = datetime.fromtimestamp(int(deadline), UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
        return Decision(kind="end", message=f"retry exceeded workflow deadline {when}")
    refusal = _refusal(strategy, last, attempts=attempts)
    if refusal is not None:
        return Decision(kind="end", message=refusal)
    backoff = strategy.get("backoff") or {}
    wait = backoff_seconds(backoff, attempts=attempts)
    until = last.finished + wait
    if backoff.get("maxDuration"):
        limit = first_started + duration(backoff["maxDuration"])
        if now > limit:
            return Decision(kind="end", message="Max duration limit exceeded")
        if until > limit:
            return Decision(kind="end", message="Backoff would exceed max duration limit")
    # Without a limit a controller does not wait at all; a laptop would spin on a broken step, so it waits here.
    if now < until:
        return Decision(kind="wait", message=f"Backoff for {spoken(wait)}")
    return Decision(kind="again")


def backoff_seconds(backoff: Mapping[str, Any], *, attempts: int) -> float:
    """Returns the wait after the `attempts`-th attempt: duration times factor^(attempts-1), at most the cap."""
    if not backoff.get("duration"):
        return 0.0
    wait = duration(backoff["duration"])
    factor = int(backoff.get("factor") or 0)
    if factor > 0:
        wait *= float(min(factor ** (attempts - 1), 10**9))
    return min(wait, duration(backoff["cap"])) if backoff.get("cap") else wait


def policy(strategy: Mapping[str, Any]) -> str:
    """Returns the policy in force: with an expression and no policy the expression alone decides."""
    return str(strategy.get("retryPolicy") or ("Always" if strategy.get("expression") else "OnFailure"))


def _refusal(strategy: Mapping[str, Any], last: Attempt, *, attempts: int) -> str | None:
    message = str(last.node.get("message", ""))
    phase = last.node["phase"]
    allowed = {
        "Always": True,
        "OnFailure": phase == FAILED,
        "OnError": phase == ERROR,
        "OnTransientError": any(sign in message for sign in _TRANSIENT),
    }[policy(strategy)]
    if not allowed:
        return message
    limit = strategy.get("limit")
    if limit is not None and attempts > int(limit):
        return "No more retries left"
    expression = strategy.get("expression")
    if not expression:
        return None
    try:
        again = Expression(expression).holds(scope(last))
    except ExpressionError as error:  # a part that no sample at submit had reached
        return f"retryStrategy.expression: {error}"
    return None if again else "retryStrategy.expression evaluated to false"


def scope(last: Attempt) -> dict[str, str]:
    """Returns the variables of a retry expression, all of them texts."""
    return {
        "lastRetry.exitCode": str(last.node.get("outputs", {}).get("exitCode", "-1")),
        "lastRetry.status": str(last.node["phase"]),
        "lastRetry.duration": str(max(0, int(last.finished - last.started))),
        "lastRetry.message": str(last.node.get("message", "")),
    }
