"""Records the checkpoints that trainers say they saved."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.artifacts.storage import Storage
from api.models import Checkpoint, Event, Job

_KIND = re.compile(r"best|last|epoch_\d{1,9}|[a-z0-9][a-z0-9_-]{0,63}")
_EPOCH_IN_NAME = re.compile(r"epoch[_-]?(\d{1,9})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URI = re.compile(r"[a-z][a-z0-9+.-]*://\S+")
_PLACES = ("uri", "checkpoint_uri", "checkpoint_path", "path")
_DONE_KINDS = {"best_checkpoint": "best", "last_checkpoint": "last", "final_checkpoint": "last"}


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A checkpoint as a trainer tells of it."""

    kind: str
    uri: str
    size: int | None = None
    sha256: str | None = None
    epoch: int | None = None
    metrics: dict[str, Any] | None = None


def from_event(data: dict[str, Any]) -> Saved | None:
    """Returns the checkpoint of a `checkpoint_saved` event's data, None where it says not where the file lies."""
    uri = next((data[name] for name in _PLACES if isinstance(data.get(name), str)), None)
    if uri is None:
        return None
    epoch = _count(data.get("epoch"), limit=2**31)
    told = data.get("kind") or data.get("type")
    kind = told if isinstance(told, str) and _KIND.fullmatch(told) else _kind_of(uri, epoch)
    size, megabytes = _count(data.get("size")), data.get("file_size_mb")
    if size is None and isinstance(megabytes, int | float) and 0 <= megabytes < 2**40:
        size = round(megabytes * 2**20)
    sha256, metrics = data.get("sha256"), data.get("metrics")
    return Saved(
        kind=kind,
        uri=uri,
        size=size,
        sha256=sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None,
        epoch=epoch,
        metrics=metrics if isinstance(metrics, dict) else None,
    )


def from_artifacts(artifacts: dict[str, Any]) -> list[Saved]:
    """Returns the checkpoints among a `done`'s artifacts: a URI each, or an object with one."""
    found = []
    for name, value in artifacts.items():
        kind = _DONE_KINDS.get(name, name)
        if kind not in ("best", "last") and not _EPOCH_IN_NAME.fullmatch(kind):
            continue
        data = value if isinstance(value, dict) else {"uri": value}
        saved = from_event(data | {"kind": kind.replace("-", "_")})
        if saved is not None:
            found.append(saved)
    return found


def save(session: Session, storage: Storage, job: Job, *, attempt: int, saved: Saved, at: datetime) -> str | None:
    """Records a checkpoint; returns why not, where what the trainer says cannot stand as one."""
    if not _URI.fullmatch(saved.uri):
        return f"{saved.uri!r} is no URI: upload the file to storage and tell where it lies there"
    # The platform serves what is recorded here: a job must not have it read any file of this machine.
    if saved.uri.startswith("file:") and not storage.contains(saved.uri):
        return f"{saved.uri} lies outside this platform's storage"
    row = session.scalar(select(Checkpoint).where(Checkpoint.job_id == job.id, Checkpoint.kind == saved.kind))
    if row is None:
        row = Checkpoint(job_id=job.id, kind=saved.kind, attempt=attempt, uri=saved.uri, created_at=at)
        session.add(row)
    elif _is_late(session, row, attempt, saved):
        return None
    same = row.uri == saved.uri and row.attempt == attempt and saved.epoch in (None, row.epoch)
    row.attempt, row.uri = attempt, saved.uri
    for name in ("size", "sha256", "epoch", "metrics"):
        value = getattr(saved, name)
        if value is not None or not same:
            setattr(row, name, value)
    if not same:
        row.created_at = at
    return None


def _is_late(session: Session, row: Checkpoint, attempt: int, saved: Saved) -> bool:
    if attempt != row.attempt:
        return attempt < row.attempt
    if saved.epoch is None or row.epoch is None or saved.epoch >= row.epoch:
        return False
    # A trainer that began again, and further back, has written over the file that is recorded.
    begins = select(func.max(Event.created_at)).where(
        Event.job_id == row.job_id, Event.attempt == attempt, Event.event_type == "training_started"
    )
    began = session.scalar(begins)
    return began is None or began <= row.created_at


def _kind_of(uri: str, epoch: int | None) -> str:
    stem = PurePosixPath(uri.rstrip("/")).name.partition(".")[0].lower()
    numbered = _EPOCH_IN_NAME.search(stem)
    if numbered:
        return f"epoch_{int(numbered[1])}"
    if "best" in stem:
        return "best"
    if epoch is not None and not any(word in stem for word in ("last", "latest", "final")):
        return f"epoch_{epoch}"
    return "last"


def _count(value: Any, *, limit: int = 2**63) -> int | None:
    return value if type(value) is int and 0 <= value < limit else None
