"""What is done to a job, and the state and reason its record must end in: the same on both engines."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.conformance import scripts
from tests.conformance.stage import Stage
from workflows.version import __version__

IMAGE = f"tiphys/steps:{__version__}"
Deed = Callable[[Stage, str], None]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A job, what happens to it, and how it ends."""

    name: str
    job: Mapping[str, Any]
    state: str
    reason: str
    says: str = ""
    """A part of the record's message."""
    tries: int | None = 1
    """Tries of the training step; None where they depend on the moment."""
    deed: Deed | None = None
    undo: Deed | None = None
    """Puts right afterwards what the deed did to more than this job."""
    epochs: tuple[int, ...] | None = None
    """The epochs of the record, each once; None where they depend on the moment."""
    apart: frozenset[str] = frozenset()
    """Steps whose end depends on the moment, or on the engine's own way to end a workflow."""
    replayed: bool = True
    """Whether the workflow alone tells how it ended; what trainer or pods told besides is not in a recording."""
    seconds: float = 240


def custom(code: str, **more: Any) -> dict[str, Any]:
    """A custom job that runs a piece of Python."""
    return {
        "name": "custom", "framework": "custom", "model": "own", "task": "object_detection",
        "image": IMAGE, "command": ["python", "-u", "-c", code], "convert": "none",
        "resources": {"gpu": 0, "cpu": 0.1, "memory": "256Mi", "shared_memory": "16Mi", "workspace": "1Gi"}, **more,
    }  # fmt: skip


def toy(*, epochs: int = 3, seconds: float = 0, **more: Any) -> dict[str, Any]:
    """A real training of a small model."""
    return {
        "name": "toy", "framework": "toy", "model": "softmax", "hyperparameters": {"epochs": epochs},
        "advanced_config": {"epoch_seconds": seconds},
        "resources": {"gpu": 0, "cpu": 0.1, "memory": "256Mi", "workspace": "1Gi"}, **more,
    }  # fmt: skip


def phases(job: dict[str, Any], step: str) -> list[str]:
    """Returns the phase of a step, if it is there."""
    return [told["phase"] for told in job["steps"] if told["name"] == step]


def after_epoch(number: int, then: Deed) -> Deed:
    """Does something once an epoch is in the record, and that its step runs: a controller may tell that later."""

    def deed(stage: Stage, job_id: str) -> None:
        stage.until(job_id, lambda job: (job["epoch"] or 0) >= number and "Running" in phases(job, "train"))
        then(stage, job_id)

    return deed


def sends(number: int) -> Deed:
    """Sends the trainer a signal."""
    return lambda stage, job_id: stage.signal(job_id, number)


def cancels(stage: Stage, job_id: str) -> None:
    """Cancels as a person does."""
    stage.cancel(job_id)


def api_away(seconds: float) -> Deed:
    """Takes the API and the reconciler away for some time."""

    def deed(stage: Stage, _: str) -> None:
        stage.platform.down()
        time.sleep(seconds)
        stage.platform.up()

    return deed


AFTER = frozenset({"upload", "report", "on-exit"})
"""What follows a training that was ended from outside."""

BOTH = (
    Scenario(
        name="success", job=toy(), state="succeeded", reason="completed", says="Trained", epochs=(1, 2, 3)
    ),
    Scenario(name="no-checkpoint", job=custom(scripts.WHOLE), state="succeeded", reason="no_checkpoint"),
    Scenario(
        name="user-error", job=custom(scripts.EXIT_1), state="failed", reason="training_error",
        says="Step train failed: the labels have no classes",
    ),
    Scenario(
        name="raised", job=custom(scripts.RAISES), state="failed", reason="training_error", replayed=False,
        says="Step train failed with exit code 1; its last words: RuntimeError: labels.csv has 3 columns, not 4. Cure:",
    ),
    Scenario(
        name="told-failed", job=custom(scripts.SAYS_FAILED), state="failed", reason="training_error", says="not finite"
    ),
    Scenario(
        name="gpu-memory", job=custom(scripts.GPU_MEMORY), state="failed", reason="gpu_oom",
        says="lower hyperparameters.batch",
    ),
    Scenario(
        name="temporary-once", job=custom(scripts.EXIT_75_ONCE), state="succeeded", reason="no_checkpoint", tries=2
    ),
    Scenario(
        name="temporary-always", job=custom(scripts.EXIT_75_ALWAYS), state="failed", reason="temporary", tries=4,
        apart=AFTER,
        says="Step train failed for a temporary cause 4 times, the last of its tries: storage does not answer",
    ),
    Scenario(
        name="preempted", job=toy(epochs=8, seconds=1), deed=after_epoch(3, sends(signal.SIGTERM)),
        state="succeeded", reason="completed", tries=2, epochs=tuple(range(1, 9)),
    ),
    Scenario(
        name="killed", job=toy(epochs=8, seconds=1), deed=after_epoch(3, sends(signal.SIGKILL)),
        state="succeeded", reason="completed", tries=2, epochs=tuple(range(1, 9)),
    ),
    Scenario(
        name="out-of-memory", job=custom(scripts.EATS_MEMORY), state="failed", reason="oom",
        says="ran out of main memory and was killed at its limit of 256Mi",
    ),
    Scenario(
        name="cancelled", job=toy(epochs=500, seconds=1), deed=after_epoch(2, cancels),
        state="cancelled", reason="user", says="its checkpoints are kept", apart=AFTER,
    ),
    Scenario(
        name="cancelled-deaf", job=custom(scripts.DEAF), deed=after_epoch(2, cancels), state="cancelled", reason="user",
        apart=AFTER,
    ),
    Scenario(
        name="workflow-deadline", job=custom(scripts.SLEEPS, limits={"total": "75s", "no_heartbeat": "75s"}),
        state="failed", reason="deadline", says="The job took longer than its limit of 1m15s", apart=AFTER,
    ),
    Scenario(
        name="step-deadline", job=custom(scripts.SLEEPS, limits={"train": "8s"}),
        state="failed", reason="step_deadline", says="Step train took longer than its limit of 8s",
    ),
    Scenario(
        name="silent", job=custom(scripts.SLEEPS, limits={"no_heartbeat": "10s"}),
        state="failed", reason="heartbeat_timeout", says="No heartbeat for", apart=AFTER,
        replayed=False,
    ),
    Scenario(
        name="dataset-broken", job=toy(dataset="broken"), state="failed", reason="dataset_error", tries=0,
        says="outside",
    ),
    Scenario(
        name="api-away", job=toy(epochs=12, seconds=1), deed=after_epoch(2, api_away(15)),
        state="succeeded", reason="completed", epochs=tuple(range(1, 13)),
    ),
)  # fmt: skip
"""Each ends the same on both engines."""
