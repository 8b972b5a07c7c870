"""Tells a Prometheus how the platform stands: counts alone, nothing of anybody's job."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from api.errors import Unavailable
from api.health import reconciler_age
from api.jobs.status import State
from api.models import Attempt, Job
from api.platform import Platform, PlatformOf
from workflows.version import __version__

router = APIRouter()

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics", include_in_schema=False)
def metrics(platform: PlatformOf, request: Request) -> Response:
    """Answer in Prometheus' text format; what comes from the database is the same from every replica."""
    try:
        jobs, attempts = _counts(platform)
    except SQLAlchemyError as error:
        name = type(error).__name__
        raise Unavailable(f"the database does not answer ({name})", cure="check TIPHYS_DATABASE_URL") from error
    states = {f'{{state="{state}"}}': jobs.get(state, 0) for state in State}
    stored = request.app.state.callbacks.writer.stored
    lines = [
        *_family("info", "gauge", "The version that runs.", {f'{{version="{__version__}"}}': 1}),
        *_family("jobs", "gauge", "Jobs by state.", states),
        *_family("attempts_open", "gauge", "Attempts that are not closed.", {"": attempts}),
        *_family("heartbeats_total", "counter", "Heartbeats of trainers that this process took.", {"": stored}),
    ]
    age = reconciler_age(platform)
    if age is not None:
        told = "Seconds since the reconciler last looked at the jobs; absent where none ever did."
        lines += _family("reconciler_last_look_seconds", "gauge", told, {"": round(max(age, 0.0), 3)})
    return Response("\n".join(lines) + "\n", media_type=CONTENT_TYPE)


def _counts(platform: Platform) -> tuple[dict[str, int], int]:
    with platform.database.read() as session:
        jobs = dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())
        open_ones = session.scalar(select(func.count()).select_from(Attempt).where(Attempt.closed.is_(False)))
    return jobs, open_ones or 0


def _family(name: str, kind: str, told: str, samples: Mapping[str, float]) -> list[str]:
    whole = f"tiphys_{name}"
    return [f"# HELP {whole} {told}", f"# TYPE {whole} {kind}", *(f"{whole}{tags} {n}" for tags, n in samples.items())]
