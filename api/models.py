"""The tables: jobs, attempts, heartbeats, events, checkpoints, datasets, their tasks, snapshots, leases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NAME_LENGTH = 128
"""Characters that the name of a job may have."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: aware in Python, stored without an offset."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None


Number = BigInteger().with_variant(Integer, "sqlite")
"""Of what is counted without end; SQLite's own integers have 64 bits anyway."""


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[Mapping[Any, Any]] = {datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}


class Job(Base):
    """What was asked for, and how it stands."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    project: Mapped[str | None] = mapped_column(String(128))
    framework: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(String(128))
    task: Mapped[str] = mapped_column(String(64))
    dataset: Mapped[str] = mapped_column(Text)
    """As the user wrote it: an id, a path or a URI."""
    dataset_uri: Mapped[str] = mapped_column(Text)
    spec: Mapped[dict[str, Any]]
    labels: Mapped[dict[str, Any]]
    trace_id: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    start: Mapped[bool] = mapped_column(default=True)
    """False while a job is only recorded and waits for /start."""

    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]

    progress: Mapped[float | None]
    """0..100."""
    epoch: Mapped[int | None]
    total_epochs: Mapped[int | None]
    metrics: Mapped[dict[str, Any] | None]
    """The latest value of each metric of the current attempt."""
    final_metrics: Mapped[dict[str, Any] | None]
    last_heartbeat_at: Mapped[datetime | None]
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("snapshots.id"))
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)
    request_digest: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        Index("ix_jobs_state_created", "state", "created_at"),
        Index("ix_jobs_created", "created_at", "id"),
        Index("ix_jobs_project", "project"),
    )


class Attempt(Base):
    """One try at a job: one workflow."""

    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    workflow_name: Mapped[str] = mapped_column(String(63), unique=True)
    place: Mapped[str | None] = mapped_column(String(128))
    """Where it was handed to, as `Engine.place` says; empty before, and in records older than this column."""
    resume: Mapped[bool] = mapped_column(default=False)
    manifest: Mapped[dict[str, Any] | None]
    workflow_status: Mapped[dict[str, Any] | None]
    """Argo's own status, as last seen."""
    status_digest: Mapped[str | None] = mapped_column(String(32))
    """Of the status and what was taken in with it: a reconciler that takes over need not take it in again."""
    state: Mapped[str | None] = mapped_column(String(16))
    """How it ended; empty while it is the job's current attempt."""
    reason: Mapped[str | None] = mapped_column(String(32))
    message: Mapped[str | None] = mapped_column(Text)
    done_status: Mapped[str | None] = mapped_column(String(16))
    done: Mapped[dict[str, Any] | None]
    """The first `done` the trainer reported: a proposal until the workflow has ended."""
    done_at: Mapped[datetime | None]
    silence_warned_at: Mapped[datetime | None]
    stop_requested_at: Mapped[datetime | None]
    terminate_requested_at: Mapped[datetime | None]
    stop_reason: Mapped[str | None] = mapped_column(String(32))
    """Why the platform itself stopped the workflow, if it did."""
    stop_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    closed: Mapped[bool] = mapped_column(default=False)
    """The workflow has ended, its logs are kept, and nothing is left to follow."""

    # The reconciler asks for what is not closed twice a second, however many attempts have gone before.
    __table_args__ = (Index("ix_attempts_closed", "closed"),)


class Heartbeat(Base):
    """One sign of life, keyed by (job, attempt, epoch, step); sent twice it is stored once."""

    __tablename__ = "heartbeats"

    seq: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    epoch: Mapped[int]
    """-1 where the trainer said none."""
    step: Mapped[int]
    """-1 where the trainer said none."""
    total_epochs: Mapped[int | None]
    total_steps: Mapped[int | None]
    progress: Mapped[float | None]
    metrics: Mapped[dict[str, Any] | None]
    extra: Mapped[dict[str, Any] | None]
    """What an older or newer trainer said beyond the contract."""
    received_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("job_id", "attempt", "epoch", "step"),
        Index("ix_heartbeats_job", "job_id", "seq"),
        # A number is never given twice, not even after a job was deleted: streams resume by it.
        {"sqlite_autoincrement": True},
    )


class Event(Base):
    """Something that happened, told once."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    """state (a move), step (a node of the workflow), trainer (a callback), platform (a warning of ours)."""
    level: Mapped[str] = mapped_column(String(8))
    event_type: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]]
    key: Mapped[str | None] = mapped_column(String(255))
    """What makes it the same event when it is told again."""
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("job_id", "key"),
        Index("ix_events_job", "job_id", "id"),
        {"sqlite_autoincrement": True},
    )


class Checkpoint(Base):
    """A file a trainer saved, where it was uploaded to."""

    __tablename__ = "checkpoints"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    kind: Mapped[str] = mapped_column(String(64))
    """best, last or epoch_N."""
    uri: Mapped[str] = mapped_column(Text)
    size: Mapped[int | None] = mapped_column(BigInteger)
    """Bytes."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    epoch: Mapped[int | None]
    metrics: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("job_id", "kind"),)


class Dataset(Base):
    """A dataset by its id: where it lies, and what the last check saw."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    uri: Mapped[str] = mapped_column(Text)
    """A prefix ending in a slash, or one .zip."""
    source: Mapped[str] = mapped_column(String(16))
    """upload or repaired (in our storage), or reference (where the user keeps it)."""
    origin: Mapped[str | None] = mapped_column(Text)
    """Where the dataset lay that a repaired one was made from."""
    split: Mapped[dict[str, Any] | None]
    """How jobs that leave it to the dataset divide its images; empty: as its own files say, else automatic."""
    deleting: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Nothing may begin on it any more; its files are being removed."""
    layout: Mapped[str | None] = mapped_column(String(32))
    task: Mapped[str | None] = mapped_column(String(64))
    classes: Mapped[list[Any] | None]
    counts: Mapped[dict[str, Any] | None]
    version_hash: Mapped[str | None] = mapped_column(String(80))
    check_report: Mapped[dict[str, Any] | None]
    checked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class DatasetTask(Base):
    """Long work on a dataset: a check, a conversion, an export; the reconciler runs one at a time."""

    __tablename__ = "dataset_tasks"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    other_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    """The second dataset of a comparison."""
    kind: Mapped[str] = mapped_column(String(16))
    options: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(16))
    """pending, running, succeeded, failed or cancelled."""
    progress: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    """Why it failed: code, message, cure."""
    outputs: Mapped[list[Any] | None]
    """The files it made: name, uri, size, sha256."""
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_dataset_tasks_state", "state", "created_at"),
        Index("ix_dataset_tasks_dataset", "dataset_id", "created_at"),
        Index("ix_dataset_tasks_other", "other_id"),
    )


class Snapshot(Base):
    """What a job trained on: immutable."""

    __tablename__ = "snapshots"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(255))
    version_hash: Mapped[str] = mapped_column(String(80))
    layout: Mapped[str | None] = mapped_column(String(32))
    task: Mapped[str | None] = mapped_column(String(64))
    classes: Mapped[list[Any]]
    split: Mapped[dict[str, Any]]
    counts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]

    @property
    def images(self) -> dict[str, int]:
        """How many images train, validate and test."""
        return {part: len(ids) for part, ids in self.split.items() if isinstance(ids, list)}


class Lease(Base):
    """Who alone may do a work that several processes stand ready for; moments by the database's own clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    term: Mapped[int] = mapped_column(BigInteger)
    """Counts the changes of hands: a holder whose term is not this one has lost it."""
    holder: Mapped[str] = mapped_column(String(255))
    """For people: machine and process."""
    until: Mapped[datetime]
    taken_at: Mapped[datetime]
    looked_at: Mapped[datetime]
    """When the holder last had finished a look at everything."""
