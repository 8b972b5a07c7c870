"""The addresses under which a job's records are read: events, metrics, logs, workflow, and the live stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse

from api.auth import require_user
from api.jobs import logs, queries, series, stream
from api.jobs.logs import Position
from api.jobs.routes import JobId
from api.jobs.schemas import EventPage, EventView, MetricsSeries, WorkflowView
from api.platform import PlatformOf
from api.problems import problems

router = APIRouter(
    prefix="/api/v1/training/jobs/{job_id}",
    tags=["records"],
    dependencies=[Depends(require_user)],
    responses=problems(401, 404, 422),
)

# A proxy that waits for more before it passes anything on would make a live view stand still.
LIVE = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
STEP = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"

AttemptNumber = Annotated[int | None, Query(ge=1, description="which attempt; default: the current one")]


@router.get("/events", summary="What happened")
def list_events(
    platform: PlatformOf,
    job_id: JobId,
    after: Annotated[int, Query(ge=0, lt=1 << 63, description="only events after this id")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    kind: Annotated[Literal["state", "step", "trainer", "platform"] | None, Query()] = None,
    level: Annotated[Literal["info", "warning", "error"] | None, Query()] = None,
) -> EventPage:
    """List a job's events, oldest first."""
    with platform.database.read() as session:
        queries.job_by_id(session, job_id)
        rows = queries.events(session, job_id, after=after, limit=limit + 1, kind=kind, level=level)
    items = [EventView.model_validate(row) for row in rows[:limit]]
    return EventPage(items=items, next_cursor=str(items[-1].id) if len(rows) > limit else None)


@router.get("/metrics", summary="Metrics over the epochs")
def list_metrics(
    platform: PlatformOf,
    job_id: JobId,
    attempt: Annotated[
        int | None, Query(ge=1, description="which attempt; default: the current one and those it goes on from")
    ] = None,
    by: Annotated[
        Literal["epoch", "step"],
        Query(description="epoch: the latest value of each metric in it; step: every heartbeat"),
    ] = "epoch",
    after: Annotated[int, Query(ge=0, lt=1 << 63, description="by step: `next_cursor` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=5000, description="by step: how many at a time")] = 1000,
) -> MetricsSeries:
    """Read the metrics of a job as a series, oldest first."""
    with platform.database.read() as session:
        job = queries.job_by_id(session, job_id)
        if attempt is not None:
            numbers = [queries.attempt_of(session, job, attempt).number]
        else:
            numbers = series.lineage(queries.attempts_of(session, job_id))
        if by == "epoch":
            every = queries.all_heartbeats(session, job_id, attempts=numbers)
            return MetricsSeries(items=series.by_epoch(every), next_cursor=None)
        beats = queries.heartbeats(session, job_id, after=after, limit=limit + 1, attempts=numbers)
    page = beats[:limit]
    cursor = str(page[-1].seq) if len(beats) > limit else None
    return MetricsSeries(items=[series.by_step(beat) for beat in page if beat.metrics], next_cursor=cursor)


@router.get("/workflow", summary="The Argo Workflow")
def get_workflow(platform: PlatformOf, job_id: JobId, attempt: AttemptNumber = None) -> WorkflowView:
    """Read the manifest of an attempt and the status the engine last reported."""
    with platform.database.read() as session:
        row = queries.attempt_of(session, queries.job_by_id(session, job_id), attempt)
        return WorkflowView(
            attempt=row.number, workflow_name=row.workflow_name, manifest=row.manifest, status=row.workflow_status
        )


@router.get(
    "/logs",
    summary="A step's output",
    response_class=StreamingResponse,
    responses={200: {"description": "The output as it was printed", "content": {"text/plain": {}}}},
)
def read_logs(
    platform: PlatformOf,
    job_id: JobId,
    step: Annotated[
        str, Query(pattern=STEP, description="download, convert, train, upload, report or on-exit")
    ] = "train",
    attempt: AttemptNumber = None,
    tail: Annotated[
        int | None, Query(ge=0, le=1_000_000, description="only the last lines; default: everything")
    ] = None,
    follow: Annotated[bool, Query(description="go on with what is printed until the attempt has ended")] = False,
) -> StreamingResponse:
    """Read what a step printed, all its tries one after the other."""
    view = logs.open_log(platform, job_id, step=step, attempt=attempt, must_exist=not follow)
    found = view.files()
    at = Position(0, 0) if tail is None else logs.tail_position(found, tail)
    content = view.follow(at, kept=found) if follow else view.read(found, at)
    return StreamingResponse(content, media_type="text/plain; charset=utf-8", headers=LIVE)


@router.get(
    "/stream",
    summary="Follow a job live",
    response_class=StreamingResponse,
    responses=problems(400)
    | {200: {"description": "Server-sent events: state, event, heartbeat, end", "content": {"text/event-stream": {}}}},
)
def stream_job(
    platform: PlatformOf,
    job_id: JobId,
    start: Annotated[
        Literal["start", "now"],
        Query(alias="from", description="begin with all that happened, or with what comes next"),
    ] = "start",
    last_event_id: Annotated[str | None, Header(description="go on after this id")] = None,
) -> StreamingResponse:
    """Follow a job until it has ended: its moves, its events and its heartbeats, each with an id to resume from."""
    cursor = stream.start_cursor(platform, job_id, last_event_id=last_event_id, from_now=start == "now")
    content: AsyncIterator[bytes] = stream.follow(platform, job_id, cursor)
    return StreamingResponse(content, media_type="text/event-stream", headers=LIVE)
