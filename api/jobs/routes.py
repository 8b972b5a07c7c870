"""The addresses under which jobs are made, read and moved."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel

from api.auth import require_user
from api.body import YAML_TYPES, mapping_of
from api.jobs import listing, plan, service
from api.jobs.schemas import DryRun, JobPage, JobView
from api.platform import PlatformOf
from api.problems import problems
from workflows.spec import JobSpec

router = APIRouter(
    prefix="/api/v1/training/jobs", tags=["jobs"], dependencies=[Depends(require_user)], responses=problems(401)
)

JobId = Annotated[str, Path(description="a job's id", max_length=64)]

_SPEC = JobSpec.__name__
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One job, as in a job file.",
        "content": {
            kind: {"schema": {"$ref": f"#/components/schemas/{_SPEC}"}} for kind in ("application/json", YAML_TYPES[0])
        },
    }
}


@router.post(
    "",
    status_code=201,
    summary="Submit a job",
    response_model=None,
    responses=problems(400, 409, 413, 415, 422, 503)
    | {
        200: {
            "description": "What would run (dry_run), or the job that this Idempotency-Key made before",
            "model": JobView | DryRun,
        },
        201: {"description": "The job was recorded", "model": JobView},
    },
    openapi_extra=_BODY,
)
def create_job(
    platform: PlatformOf,
    request: Annotated[dict[str, Any], Depends(mapping_of)],
    dry_run: Annotated[bool, Query(description="tell what would run, and record nothing")] = False,
    start: Annotated[bool, Query(description="false: only record it, until /start")] = True,
    idempotency_key: Annotated[
        str | None, Header(description="the same key with the same body is the same job, however often it is sent")
    ] = None,
) -> Response:
    """Record a job; it runs as soon as there is room for it. The answer is the job, or with dry_run its plan."""
    if dry_run:
        return _json(plan.dry_run(platform, request), status=200)
    created = service.create_job(platform, request, start=start, idempotency_key=idempotency_key)
    return _json(created.job, status=201 if created.fresh else 200, location=created.job.links["self"])


def _json(answer: BaseModel, *, status: int, location: str | None = None) -> Response:
    # Written by pydantic itself: FastAPI's own way through Python objects would cost a submit another millisecond.
    headers = {"Location": location} if location else None
    return Response(answer.model_dump_json(), status_code=status, headers=headers, media_type="application/json")


@router.get("", summary="List jobs", responses=problems(400, 422))
def list_jobs(platform: PlatformOf, query: Annotated[listing.ListQuery, Query()]) -> JobPage:
    """List jobs, newest first; filters narrow it down together."""
    return listing.list_jobs(platform, query)


@router.get("/{job_id}", summary="Read a job", responses=problems(404))
def get_job(platform: PlatformOf, job_id: JobId) -> JobView:
    """Read a job with its spec, steps and results."""
    return listing.get_job(platform, job_id)


@router.post("/{job_id}/start", summary="Let a job go", responses=problems(404, 409))
def start_job(platform: PlatformOf, job_id: JobId) -> JobView:
    """Let a job go that was submitted with start=false."""
    return service.start_job(platform, job_id)


@router.post("/{job_id}/cancel", summary="Cancel a job", responses=problems(404, 409))
def cancel_job(platform: PlatformOf, job_id: JobId) -> JobView:
    """Ask a job to end: its trainer saves a checkpoint and stops."""
    return service.cancel_job(platform, job_id)


@router.post("/{job_id}/retry", summary="Try a job again", responses=problems(404, 409))
def retry_job(
    platform: PlatformOf,
    job_id: JobId,
    resume: Annotated[bool, Query(description="go on from the last checkpoint, if there is one")] = True,
) -> JobView:
    """Make a new attempt of a failed or cancelled job."""
    return service.retry_job(platform, job_id, resume=resume)


@router.delete("/{job_id}", status_code=204, summary="Delete a job", responses=problems(404, 409, 503))
def delete_job(
    platform: PlatformOf,
    job_id: JobId,
    checkpoints: Annotated[bool, Query(description="delete its checkpoints, too")] = False,
) -> None:
    """Delete an ended job's records and logs; its checkpoints stay unless told otherwise."""
    service.delete_job(platform, job_id, with_checkpoints=checkpoints)
