"""What is tried again, how often and when: one expression that Argo and the local engine read alike."""

from __future__ import annotations

from hera.workflows import RetryStrategy
from hera.workflows import models as m

from workflows.budgets import (
    EXECUTOR,
    OUTPUT_MISSING,
    PENDING_TIMEOUT,
    PREEMPTED_TRIES,
    TAKEN_CODES,
    TEMPORARY_CODE,
    TEMPORARY_TRIES,
    TO_BLAME,
)


def _expression() -> str:
    codes = ", ".join(f"'{code}'" for code in TAKEN_CODES)
    taken = [f"lastRetry.exitCode in [{codes}]", f"lastRetry.message != '{PENDING_TIMEOUT}'"]
    taken += [f"!(lastRetry.message contains '{words}')" for words in TO_BLAME]
    begins = " || ".join(f"lastRetry.message startsWith '{words}'" for words in EXECUTOR)
    executor = f"({begins}) && !(lastRetry.message contains '{OUTPUT_MISSING}')"
    return f"lastRetry.exitCode == '{TEMPORARY_CODE}' || ({executor}) || ({' && '.join(taken)})"


RETRY_WHEN = _expression()


def retried(*, limit: int = PREEMPTED_TRIES + TEMPORARY_TRIES) -> RetryStrategy:
    """Returns how a step is tried again; Argo counts all causes together, the platform each by itself."""
    # Never maxDuration: it counts the running time too, and would end a long training at its first retry.
    backoff = m.Backoff(duration="10s", factor=m.IntOrString(root=2), cap="5m")
    return RetryStrategy(limit=limit, retry_policy="Always", expression=RETRY_WHEN, backoff=backoff)
