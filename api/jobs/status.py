"""The state machine of a job: states, reasons, allowed moves; the only place a state changes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from api.errors import IllegalMove
from api.models import Attempt, Event, Job


class State(StrEnum):
    """Where a job stands."""

    PENDING = "pending"  # recorded, not handed to the engine
    QUEUED = "queued"  # handed to the engine, no step has started
    RUNNING = "running"  # the first step has started
    CANCELLING = "cancelling"  # asked to stop, still saving
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
ACTIVE = frozenset({State.QUEUED, State.RUNNING, State.CANCELLING})

MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.QUEUED, State.FAILED, State.CANCELLED}),
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLING, State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset({State.CANCELLING, State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.CANCELLING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset({State.PENDING}),  # retry: a new attempt
    State.CANCELLED: frozenset({State.PENDING}),  # retry: a new attempt
}

SEED_WORDS = {"completed": State.SUCCEEDED, "stopped": State.CANCELLED}
"""Words of older clients, understood at the edges."""


class Reason(StrEnum):
    """Why a job is in its state; stable words for scripts."""

    USER = "user"
    SUBMITTED = "submitted"
    STARTED = "started"
    COMPLETED = "completed"
    RETRIED = "retried"
    NO_CHECKPOINT = "no_checkpoint"
    DATASET_ERROR = "dataset_error"
    CONFIG_ERROR = "config_error"
    CHECKPOINT_ERROR = "checkpoint_error"
    RESOURCE_ERROR = "resource_error"
    NETWORK_ERROR = "network_error"
    FRAMEWORK_ERROR = "framework_error"
    DIVERGED = "diverged"
    TRAINING_ERROR = "training_error"
    UNKNOWN_ERROR = "unknown_error"
    OOM = "oom"
    GPU_OOM = "gpu_oom"
    DISK_FULL = "disk_full"
    EPHEMERAL_STORAGE = "ephemeral_storage"
    DEADLINE = "deadline"
    STEP_DEADLINE = "step_deadline"
    HEARTBEAT_TIMEOUT = "heartbeat_timeout"
    IMAGE_PULL = "image_pull"
    MISSING_SECRET = "missing_secret"
    QUOTA = "quota"
    VOLUME = "volume"
    LOCK = "lock"
    UNSCHEDULABLE = "unschedulable"
    NOT_STARTED = "not_started"
    PREEMPTED = "preempted"
    TEMPORARY = "temporary"
    KILLED = "killed"
    REPORT_FAILED = "report_failed"
    UPLOAD_FAILED = "upload_failed"
    REFUSED = "refused"
    ENGINE_ERROR = "engine_error"
    WORKFLOW_DELETED = "workflow_deleted"
    STOPPED = "stopped"
    TERMINATED = "terminated"


ERROR_TYPE_REASONS = {
    "DATASET_ERROR": Reason.DATASET_ERROR,
    "CHECKPOINT_ERROR": Reason.CHECKPOINT_ERROR,
    "CONFIG_ERROR": Reason.CONFIG_ERROR,
    "RESOURCE_ERROR": Reason.RESOURCE_ERROR,
    "NETWORK_ERROR": Reason.NETWORK_ERROR,
    "FRAMEWORK_ERROR": Reason.FRAMEWORK_ERROR,
    "VALIDATION_ERROR": Reason.DIVERGED,
    "TRAINING_ERROR": Reason.TRAINING_ERROR,
    "UNKNOWN_ERROR": Reason.UNKNOWN_ERROR,
}


def move(session: Session, job: Job, to: State, *, reason: Reason, message: str, at: datetime) -> None:
    """Move a job to a state, stamp the times, and record the move as an event.

    Raises:
        IllegalMove: the state machine does not lead from here to there.
    """
    here = State(job.state)
    if to not in MOVES[here]:
        allowed = ", ".join(sorted(MOVES[here])) or "nothing: it has ended"
        raise IllegalMove(
            f"job {job.id} is {here} and cannot become {to}", cure=f"from {here} it can become: {allowed}"
        )
    job.state, job.reason, job.message, job.updated_at = to, reason, message, at
    if to is State.PENDING:
        job.queued_at = job.started_at = job.finished_at = None
    elif to is State.QUEUED:
        job.queued_at = at
    elif to is State.RUNNING:
        job.started_at = at
    elif to in TERMINAL:
        job.finished_at = at
        attempt = session.get(Attempt, (job.id, job.attempt))
        if attempt is not None:
            attempt.finished_at = attempt.finished_at or at
            attempt.state, attempt.reason, attempt.message = to, reason, message
    session.add(
        Event(
            job_id=job.id,
            attempt=job.attempt,
            kind="state",
            level="error" if to is State.FAILED else "info",
            event_type=to,
            message=message,
            data={"from": here, "to": to, "reason": reason},
            created_at=at,
        )
    )
