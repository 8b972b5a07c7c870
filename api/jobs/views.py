"""Turns rows into what is told about a job."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from api.jobs import queries
from api.jobs.schemas import HeartbeatView, JobSummary, JobView, PrimaryMetricView, SnapshotOfJob
from api.jobs.status import State
from api.jobs.steps import steps_of
from api.models import Attempt, Checkpoint, Heartbeat, Job
from api.settings import Settings

JOBS = "/api/v1/training/jobs"


def summary(job: Job, best: Checkpoint | None) -> JobSummary:
    """Returns a job as lists and streams tell it."""
    return JobSummary(**_facts(job, best))


def detail(session: Session, job: Job, *, now: datetime, settings: Settings) -> JobView:
    """Returns a job with everything that is known of it."""
    attempt = queries.attempt_of(session, job)
    best = queries.best_checkpoints(session, [job.id]).get(job.id)
    pace = queries.first_and_last_epoch(session, job.id, job.attempt) if job.state == State.RUNNING else None
    view = _view(job, attempt, best, eta=eta_seconds(*pace, now=now) if pace else None)
    snapshot = queries.snapshot(session, job.snapshot_id)
    view.snapshot = SnapshotOfJob.model_validate(snapshot) if snapshot else None
    view.conversion = queries.conversion(session, job)
    if page := settings.workflow_page(attempt.workflow_name, place=attempt.place):
        view.links["argo"] = page
    return view


def newborn(job: Job, attempt: Attempt) -> JobView:
    """Returns a job that was recorded this moment, without asking the database what it cannot know yet."""
    return _view(job, attempt, None, eta=None)


def eta_seconds(first: Heartbeat, last: Heartbeat, *, now: datetime) -> float | None:
    """Returns the seconds to the last epoch at the pace between two heartbeats, None where there is no pace yet."""
    done = last.epoch - first.epoch
    if done <= 0 or not last.total_epochs or last.epoch >= last.total_epochs:
        return None
    pace = (last.received_at - first.received_at).total_seconds() / done
    waited = (now - last.received_at).total_seconds()
    return round(max(0.0, pace * (last.total_epochs - last.epoch) - max(0.0, waited)), 1)


def heartbeat(row: Heartbeat) -> HeartbeatView:
    """Returns a heartbeat with null where the trainer named no epoch or step."""
    view = HeartbeatView.model_validate(row)
    view.epoch, view.step = told(row.epoch), told(row.step)
    return view


def told(number: int) -> int | None:
    """Returns an epoch or step as it was said: None for the -1 that stands for nothing."""
    return None if number < 0 else number


def _view(job: Job, attempt: Attempt, best: Checkpoint | None, *, eta: float | None) -> JobView:
    here = f"{JOBS}/{job.id}"
    parts = ("events", "metrics", "checkpoints", "logs", "workflow", "stream")
    return JobView(
        **_facts(job, best),
        spec=job.spec,
        snapshot=None,
        conversion=None,
        eta_seconds=eta,
        workflow_name=attempt.workflow_name,
        steps=steps_of(attempt.manifest, attempt.workflow_status),
        links={"self": here} | {part: f"{here}/{part}" for part in parts},
    )


def _facts(job: Job, best: Checkpoint | None) -> dict[str, Any]:
    facts = {name: getattr(job, name) for name in JobSummary.model_fields if name != "primary_metric"}
    return facts | {"primary_metric": _primary_metric(job, best)}


def _primary_metric(job: Job, best: Checkpoint | None) -> PrimaryMetricView | None:
    wanted = job.spec.get("primary_metric")
    if not wanted:
        return None
    sources = (best.metrics if best else None, job.final_metrics, job.metrics)
    values = (source.get(wanted["name"]) for source in sources if source)
    value = next((v for v in values if isinstance(v, int | float) and math.isfinite(v)), None)
    return PrimaryMetricView(name=wanted["name"], mode=wanted["mode"], value=value)
