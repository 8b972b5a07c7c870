"""The shapes in which datasets are registered and told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_ROW = ConfigDict(from_attributes=True)


class DatasetReference(BaseModel):
    """A dataset that stays where it lies; `path` or `uri`, not both."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, description="default: the last part of its path", examples=["digits"])
    name: str | None = Field(None, max_length=255)
    path: str | None = Field(None, description="absolute, on the platform's machine", examples=["/data/digits"])
    uri: str | None = Field(None, description="a prefix ending in a slash, or one .zip", examples=["s3://data/digits/"])


class DatasetUpload(BaseModel):
    """The fields that may stand beside an uploaded `file`, in multipart/form-data."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = None
    name: str | None = Field(None, max_length=255)


class DatasetView(BaseModel):
    """A dataset, and what the last check saw."""

    model_config = _ROW

    id: str
    name: str
    uri: str = Field(description="a prefix ending in a slash, or one .zip")
    source: str = Field(description="upload, repaired or reference")
    origin: str | None = Field(description="where the dataset lay that a repaired one was made from")
    split: dict[str, Any] | None = Field(description="how jobs that leave it to the dataset divide its images")
    deleting: bool
    layout: str | None = Field(examples=["D1"])
    task: str | None
    classes: list[Any] | None
    counts: dict[str, Any] | None
    version_hash: str | None
    checked_at: datetime | None
    created_at: datetime


class DatasetDetail(DatasetView):
    """A dataset with the whole report of its last check."""

    check_report: dict[str, Any] | None


class DatasetList(BaseModel):
    """All datasets, newest first."""

    items: list[DatasetView]


class TaskRequest(BaseModel):
    """Long work that is asked for."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(description="check, fix, show, convert, split, diff or export", examples=["check"])
    options: dict[str, Any] = Field(default_factory=dict, examples=[{"task": "object_detection"}])


class OutputView(BaseModel):
    """A file that a task made."""

    name: str = Field(examples=["report.html"])
    uri: str
    size: int = Field(description="bytes")
    sha256: str
    media_type: str


class TaskView(BaseModel):
    """Long work on a dataset, and how far it is."""

    model_config = _ROW

    id: str
    dataset_id: str
    kind: str
    options: dict[str, Any]
    state: str = Field(description="pending, running, succeeded, failed or cancelled")
    progress: dict[str, Any] | None = Field(
        description="phase, done, total, bytes, rate and bytes_rate a second, eta_seconds of the phase"
    )
    error: dict[str, Any] | None = Field(description="why it failed: code, message, cure")
    outputs: list[OutputView] | None
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TaskDetail(TaskView):
    """A task with what it found."""

    result: dict[str, Any] | None


class TaskList(BaseModel):
    """A dataset's tasks, newest first."""

    items: list[TaskView]


class SplitRequest(BaseModel):
    """The split that a dataset's jobs use; null: what its own files say, else automatic."""

    model_config = ConfigDict(extra="forbid")

    split: dict[str, Any] | None


class SnapshotView(BaseModel):
    """What a job trained on; it never changes."""

    model_config = _ROW

    id: str
    dataset_id: str
    version_hash: str
    layout: str | None
    task: str | None
    classes: list[Any]
    counts: dict[str, Any]
    images: dict[str, int] = Field(description="how many train, validate and test")
    created_at: datetime


class SnapshotDetail(SnapshotView):
    """A snapshot with the ids of its images, split by split."""

    split: dict[str, Any]


class SnapshotList(BaseModel):
    """The snapshots of a dataset, newest first."""

    items: list[SnapshotView]
