"""Finds the file behind a checkpoint's record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from api.errors import Conflict, NotFound
from api.jobs import queries
from api.jobs.schemas import CheckpointList, CheckpointView
from api.platform import Platform

BINARY = "application/octet-stream"


@dataclass(frozen=True)
class Found:
    """A checkpoint's file, ready to be sent."""

    uri: str
    size: int
    filename: str
    headers: dict[str, str]
    path: Path | None
    """Where it lies on this machine."""


def list_checkpoints(platform: Platform, job_id: str) -> CheckpointList:
    """Returns a job's checkpoints; raises NotFound for an unknown job."""
    with platform.database.read() as session:
        rows = queries.checkpoints(session, queries.job_by_id(session, job_id).id)
    return CheckpointList(items=[CheckpointView.model_validate(row) for row in rows])


def find_checkpoint(platform: Platform, job_id: str, kind: str) -> Found:
    """Returns a checkpoint's file.

    Raises:
        NotFound: no such job or checkpoint, or its file is gone.
        Conflict: its record points out of this platform's storage.
    """
    with platform.database.read() as session:
        row = queries.checkpoint(session, queries.job_by_id(session, job_id), kind)
    storage = platform.storage
    # The trainer named this place: it must not make us hand out just any file of this machine.
    if not storage.contains(row.uri):
        raise Conflict(
            f"checkpoint {kind!r} of job {job_id} lies outside this platform's storage, at {row.uri}",
            cure="fetch it from there",
        )
    size = storage.size(row.uri)
    if size is None:
        raise NotFound(
            f"the file of checkpoint {kind!r} of job {job_id} is gone: {row.uri}",
            cure="train again, or take another one",
        )
    headers = {"X-Content-SHA256": row.sha256, "ETag": f'"{row.sha256}"'} if row.sha256 else {}
    extension = PurePosixPath(row.uri).suffix
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", f"{job_id}-{kind}")
    filename = stem + (extension if re.fullmatch(r"\.[A-Za-z0-9]+", extension) else "")
    return Found(row.uri, size, filename, headers, storage.local_path(row.uri))
