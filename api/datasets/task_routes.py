"""`/api/v1/datasets/{id}/tasks`: long work on a dataset, begun, followed, cancelled, and what it made."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.auth import require_user
from api.datasets import queries, tasks
from api.datasets.schemas import DatasetDetail, TaskDetail, TaskList, TaskRequest, TaskView
from api.errors import BadRequest, Invalid, NotFound, StorageFull, TiphysError, Unavailable
from api.models import Dataset, DatasetTask
from api.platform import Platform, PlatformOf
from api.problems import problems
from workflows.problems import suggest

router = APIRouter(
    prefix="/api/v1/datasets/{dataset_id}",
    tags=["datasets"],
    dependencies=[Depends(require_user)],
    responses=problems(401, 404),
)

LOOK_EVERY = 0.1
_BINARY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


class CheckFailed(Unavailable):
    """The checker itself could not do its work."""

    code = "check_failed"


@router.post(
    "/tasks",
    status_code=202,
    summary="Begin a task",
    response_model=TaskView,
    responses=problems(409, 422) | {200: {"description": "One that is open asks for the same", "model": TaskView}},
)
def start_task(dataset_id: str, asked: TaskRequest, platform: PlatformOf, response: Response) -> DatasetTask:
    """Begin long work on a dataset; it runs in the background, one task at a time."""
    task, fresh = tasks.start(platform, dataset_id, asked.kind, asked.options)
    response.status_code = 202 if fresh else 200
    response.headers["Location"] = f"/api/v1/datasets/{dataset_id}/tasks/{task.id}"
    return task


@router.get("/tasks", summary="List tasks", response_model=TaskList)
def list_tasks(
    dataset_id: str, platform: PlatformOf, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """List a dataset's tasks, newest first."""
    with platform.database.read() as session:
        queries.one(session, dataset_id)
        return {"items": tasks.every(session, dataset_id, limit=limit)}


@router.get("/tasks/{task_id}", summary="Read a task", response_model=TaskDetail)
def get_task(dataset_id: str, task_id: str, platform: PlatformOf) -> DatasetTask:
    """Read how far a task is, and at its end what it found and made."""
    with platform.database.read() as session:
        return tasks.one(session, dataset_id, task_id)


@router.delete("/tasks/{task_id}", summary="Cancel a task", response_model=TaskView, responses=problems(503))
def cancel_task(dataset_id: str, task_id: str, platform: PlatformOf) -> DatasetTask:
    """Cancel a task; one that has ended already is forgotten with what it made."""
    return tasks.cancel(platform, dataset_id, task_id)


@router.get(
    "/tasks/{task_id}/outputs/{name}",
    summary="Download what a task made",
    response_class=Response,
    responses=problems(503)
    | {
        200: {"description": "The file; X-Content-SHA256 carries its digest"} | _BINARY,
        307: {"description": "It lies in a bucket: Location fetches it without a token for an hour"},
    },
)
def download_output(
    dataset_id: str,
    task_id: str,
    name: str,
    platform: PlatformOf,
    redirect: Annotated[bool, Query(description="false: send the bytes through the API, wherever they lie")] = True,
) -> Response:
    """Download a file that a task made."""
    with platform.database.read() as session:
        outputs = tasks.one(session, dataset_id, task_id).outputs or []
    found = next((output for output in outputs if output["name"] == name), None)
    if found is None:
        known = [str(output["name"]) for output in outputs]
        cure = suggest(name, known) if known else "wait until it has ended"
        raise NotFound(f"task {task_id} has made no {name!r}", cure=cure)
    storage = platform.storage
    size = storage.size(found["uri"])
    if size is None:
        raise NotFound(f"{name} of task {task_id} is gone: {found['uri']}", cure="begin the task again")
    # Written from a stranger's dataset: a browser keeps it, and never runs what is in it as ours.
    digest = found["sha256"]
    headers = {"X-Content-SHA256": digest, "ETag": f'"{digest}"', "Content-Security-Policy": "sandbox"}
    path = storage.local_path(found["uri"])
    if path is not None:
        return FileResponse(path, headers=headers, filename=name, media_type=found["media_type"])
    if redirect and (address := storage.presign(found["uri"], filename=name)):
        return RedirectResponse(address, status_code=307, headers={"Cache-Control": "no-store"})
    headers |= {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(storage.open_read(found["uri"]), headers=headers, media_type=found["media_type"])


@router.post(
    "/check",
    summary="Check a dataset",
    response_model=DatasetDetail,
    responses=problems(409, 422, 503, 507)
    | {202: {"description": "The check goes on: Location tells how far it is", "model": TaskView}},
)
async def check_dataset(
    dataset_id: str,
    platform: PlatformOf,
    task: Annotated[str | None, Query(description="default: what it is made for", max_length=64)] = None,
    wait: Annotated[float, Query(ge=0, le=3600, description="seconds to wait for its end")] = 60,
) -> Response:
    """Check a dataset for everything that training would stumble over, and keep the report; joins a check that runs."""
    options = {"task": task} if task is not None else {}
    begun, _ = await run_in_threadpool(tasks.start, platform, dataset_id, "check", options)
    ended = await _awaited(platform, begun, seconds=wait)
    if ended.state in tasks.OPEN:
        location = {"Location": f"/api/v1/datasets/{dataset_id}/tasks/{ended.id}"}
        return JSONResponse(TaskView.model_validate(ended).model_dump(mode="json"), 202, headers=location)
    if ended.state != "succeeded":
        raise problem_of(ended)
    dataset = await run_in_threadpool(_dataset, platform, dataset_id)
    return Response(DatasetDetail.model_validate(dataset).model_dump_json(), media_type="application/json")


async def _awaited(platform: Platform, task: DatasetTask, *, seconds: float) -> DatasetTask:
    deadline = time.monotonic() + seconds
    while task.state in tasks.OPEN and time.monotonic() < deadline and not platform.wake.closed:
        await asyncio.sleep(LOOK_EVERY)  # the reconciler is another process: what it did is found by looking
        task = await run_in_threadpool(_task, platform, task.dataset_id, task.id)
    return task


def problem_of(task: DatasetTask) -> TiphysError:
    """Returns what a task that did not succeed is told as."""
    told = task.error or {"code": "cancelled", "message": f"task {task.id} was cancelled", "cure": "begin it again"}
    kinds = {"invalid": Invalid, "dataset_error": Invalid, "disk_full": StorageFull, "cancelled": BadRequest}
    kind = kinds.get(str(told["code"]), CheckFailed)
    return kind(str(told["message"]), cure=str(told["cure"]), reason=told["code"], task_id=task.id)


def _task(platform: Platform, dataset_id: str, task_id: str) -> DatasetTask:
    with platform.database.read() as session:
        return tasks.one(session, dataset_id, task_id)


def _dataset(platform: Platform, dataset_id: str) -> Dataset:
    with platform.database.read() as session:
        return queries.one(session, dataset_id)
