"""The addresses under which a job's checkpoints are listed and fetched."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse, RedirectResponse, Response, StreamingResponse

from api.artifacts import service
from api.auth import require_user
from api.jobs.routes import JobId
from api.jobs.schemas import CheckpointList
from api.platform import PlatformOf
from api.problems import problems

router = APIRouter(
    prefix="/api/v1/training/jobs/{job_id}/checkpoints",
    tags=["checkpoints"],
    dependencies=[Depends(require_user)],
    responses=problems(401, 404),
)

_BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@router.get("", summary="List checkpoints")
def list_checkpoints(platform: PlatformOf, job_id: JobId) -> CheckpointList:
    """List the checkpoints a job has saved so far, each with size, SHA-256 and the metrics of its epoch."""
    return service.list_checkpoints(platform, job_id)


@router.get(
    "/{kind}",
    summary="Download a checkpoint",
    response_class=Response,
    responses=problems(409, 503)
    | {
        200: {"description": "The file; X-Content-SHA256 carries its digest"} | _BINARY,
        307: {"description": "It lies in a bucket: Location fetches it without a token for an hour"},
    },
)
def download_checkpoint(
    platform: PlatformOf,
    job_id: JobId,
    kind: Annotated[str, Path(description="best, last or epoch_N", max_length=64)],
    redirect: Annotated[bool, Query(description="false: send the bytes through the API, wherever they lie")] = True,
) -> Response:
    """Download a checkpoint, or be sent to where it lies."""
    found = service.find_checkpoint(platform, job_id, kind)
    if found.path is not None:
        return FileResponse(found.path, headers=found.headers, filename=found.filename, media_type=service.BINARY)
    if redirect and (address := platform.storage.presign(found.uri, filename=found.filename)):
        return RedirectResponse(address, status_code=307, headers={"Cache-Control": "no-store"})
    headers = found.headers | {
        "Content-Length": str(found.size),
        "Content-Disposition": f'attachment; filename="{found.filename}"',
    }
    return StreamingResponse(platform.storage.open_read(found.uri), headers=headers, media_type=service.BINARY)
