"""The shapes in which jobs and what hangs on them are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_ROW = ConfigDict(from_attributes=True)
JsonObject = dict[str, Any]


class PrimaryMetricView(BaseModel):
    """The metric that decides which checkpoint is the best, and its value so far."""

    name: str
    mode: str
    value: float | None = Field(None, description="of the best checkpoint, or the latest where there is none yet")


class StepView(BaseModel):
    """One step of the workflow."""

    name: str = Field(examples=["train"])
    title: str
    phase: str = Field(description="as Argo says it: Pending, Running, Succeeded, Failed, Error, Skipped, Omitted")
    message: str | None
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int = Field(description="how often it was started in this workflow")
    progress: str | None = Field(description="as Argo says it: done/total", examples=["3/12"])


class JobSummary(BaseModel):
    """A job without its spec and steps, as lists and streams tell it."""

    model_config = _ROW

    id: str = Field(examples=["k7m2qz9x"])
    name: str
    project: str | None
    framework: str
    model: str
    task: str
    dataset: str = Field(description="as it was asked for")
    dataset_uri: str
    labels: dict[str, str]
    trace_id: str
    attempt: int
    start: bool = Field(description="false while it waits for /start")
    state: Literal["pending", "queued", "running", "cancelling", "succeeded", "failed", "cancelled"]
    reason: str | None
    message: str | None
    created_at: datetime
    updated_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    progress: float | None = Field(description="0 to 100")
    epoch: int | None
    total_epochs: int | None
    metrics: JsonObject | None = Field(description="the latest value of each metric of the current attempt")
    final_metrics: JsonObject | None
    snapshot_id: str | None
    primary_metric: PrimaryMetricView | None


class SnapshotOfJob(BaseModel):
    """What a job trains on."""

    model_config = _ROW

    id: str
    dataset_id: str
    version_hash: str
    layout: str | None
    classes: list[Any]
    counts: JsonObject
    images: dict[str, int] = Field(description="how many train, validate and test")


class JobView(JobSummary):
    """A job with everything that is known of it."""

    snapshot: SnapshotOfJob | None = Field(description="null until the dataset was converted")
    conversion: JsonObject | None = Field(description="what the conversion did: counts, what was left out, proof")

    spec: JsonObject = Field(description="the request with every default filled in")
    eta_seconds: float | None = Field(description="until the last epoch, from the pace so far; null while unknown")
    workflow_name: str
    steps: list[StepView]
    links: dict[str, str]


class JobPage(BaseModel):
    """A page of jobs, newest first."""

    items: list[JobSummary]
    next_cursor: str | None = Field(description="the `cursor` of the next page; null on the last one")


class Plan(BaseModel):
    """What would run, had the job been submitted."""

    spec: JsonObject
    dataset: str
    dataset_uri: str
    workflow_name: str
    steps: list[StepView]


class DryRun(BaseModel):
    """The answer to a job that was only tried."""

    plan: Plan
    manifest: JsonObject = Field(description="the Argo Workflow")


class EventView(BaseModel):
    """Something that happened."""

    model_config = _ROW

    id: int
    attempt: int
    kind: str = Field(description="state, step, trainer or platform")
    level: str
    event_type: str
    message: str
    data: JsonObject
    created_at: datetime


class EventPage(BaseModel):
    """A page of events, oldest first."""

    items: list[EventView]
    next_cursor: str | None = Field(description="the `after` of the next page; null on the last one")


class HeartbeatView(BaseModel):
    """One sign of life of a trainer."""

    model_config = _ROW

    seq: int
    attempt: int
    epoch: int | None
    step: int | None
    total_epochs: int | None
    total_steps: int | None
    progress: float | None
    metrics: JsonObject | None
    received_at: datetime


class MetricsPoint(BaseModel):
    """The metrics of one epoch, or of one step of it."""

    attempt: int
    epoch: int | None
    step: int | None
    metrics: JsonObject
    received_at: datetime


class MetricsSeries(BaseModel):
    """The metrics of a job over its epochs."""

    items: list[MetricsPoint]
    next_cursor: str | None = Field(description="the `after` of the next page; null on the last one")


class CheckpointView(BaseModel):
    """A checkpoint a trainer saved."""

    model_config = _ROW

    kind: str = Field(description="best, last or epoch_N")
    attempt: int
    uri: str
    size: int | None = Field(description="bytes")
    sha256: str | None
    epoch: int | None
    metrics: JsonObject | None
    created_at: datetime


class CheckpointList(BaseModel):
    """A job's checkpoints."""

    items: list[CheckpointView]


class WorkflowView(BaseModel):
    """The Argo Workflow of an attempt, and what the engine last said of it."""

    attempt: int
    workflow_name: str
    manifest: JsonObject | None = Field(description="null until it was handed to the engine")
    status: JsonObject | None = Field(description="Argo's own status; null until the engine has said something")
