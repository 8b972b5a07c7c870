"""Records what a job trained on, as the convert step tells it: immutable once it is there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from api.models import Job, Snapshot

_CONTENT = ("version_hash", "task", "classes", "split", "counts")


def save(session: Session, job: Job, data: dict[str, Any], *, current: bool, at: datetime) -> str | None:
    """Records the snapshot of a `dataset_converted` event and ties the job to it; returns why not, if not."""
    told = data.get("snapshot")
    if not isinstance(told, dict):
        return "the event names no snapshot"
    fresh = _row(told, at)
    if fresh is None:
        return "the snapshot lacks snapshot_id, dataset_version_hash, dataset_id, classes or split"
    known = session.get(Snapshot, fresh.id)
    if known is None:
        session.add(fresh)
        session.flush()
    else:
        differing = [name for name in _CONTENT if getattr(known, name) != getattr(fresh, name)]
        if differing:
            return f"snapshot {fresh.id} is recorded with another {', '.join(differing)}, and snapshots never change"
    if current:
        job.snapshot_id = fresh.id
    return None


def without_split(data: dict[str, Any]) -> dict[str, Any]:
    """Returns the event's data without the lists of image ids: the snapshot has them, and the event is told often."""
    told = data.get("snapshot")
    if not isinstance(told, dict):
        return data
    return data | {"snapshot": {name: value for name, value in told.items() if name != "split"}}


def _row(told: dict[str, Any], at: datetime) -> Snapshot | None:
    texts = [told.get(name) for name in ("snapshot_id", "dataset_version_hash", "dataset_id")]
    limits = (32, 80, 255)
    if not all(isinstance(t, str) and 0 < len(t) <= limit for t, limit in zip(texts, limits, strict=True)):
        return None
    classes, split, counts = told.get("classes"), told.get("split"), told.get("counts") or {}
    if not isinstance(classes, list) or not isinstance(split, dict) or not isinstance(counts, dict):
        return None
    layout, task = told.get("layout"), told.get("task")
    return Snapshot(
        id=texts[0],
        version_hash=texts[1],
        dataset_id=texts[2],
        layout=layout[:32] if isinstance(layout, str) else None,
        task=task[:64] if isinstance(task, str) else None,
        classes=classes,
        split=split,
        counts=counts,
        created_at=at,
    )
