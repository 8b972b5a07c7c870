"""Which failures of a step are tried again and how often, by cause; an engine only counts them all together."""

from __future__ import annotations

from typing import Literal

PREEMPTED_TRIES = 5
"""Retries after the node, the pod or its kubelet ended a step: nobody's fault, and the next node may live longer."""
TEMPORARY_TRIES = 3
"""Retries after a step said itself that the cause may pass (exit code 75): network, storage, a GPU not ready."""

Cause = Literal["temporary", "preempted"]

TEMPORARY_CODE = 75
TAKEN_CODES = (143, 137, -1)
"""SIGTERM, SIGKILL after its grace, and none at all: a node that vanished, a pod that was never started."""
REFUSED = ("is forbidden", "denied the request", " is invalid:")
"""Words of an API server, or of a webhook before it, that takes no such pod."""
TO_BLAME = (
    "OOMKilled",
    "longer than the specified deadline",
    "exceeded its deadline",
    *REFUSED,
    "EmptyDir volume",
    "ephemeral local storage usage exceeds",
)
"""Words of a pod that was ended, or never made, for what the job itself asked or did."""
PENDING_TIMEOUT = "timeout"
EXECUTOR = ("wait: Error", "init: Error", "supervisor: Error")
"""Begin the words of Argo's executor where it failed, and not the step: before it began, or after it had ended well."""
OUTPUT_MISSING = "exit code 64"


def cause_of(exit_code: int | None, message: str) -> Cause | None:
    """Returns for which cause a failed try is tried again, None where it is not; says the same as `RETRY_WHEN`."""
    if exit_code == TEMPORARY_CODE or (message.startswith(EXECUTOR) and OUTPUT_MISSING not in message):
        return "temporary"
    taken = (-1 if exit_code is None else exit_code) in TAKEN_CODES
    if taken and message != PENDING_TIMEOUT and not any(words in message for words in TO_BLAME):
        return "preempted"
    return None
