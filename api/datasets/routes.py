"""`/api/v1/datasets`: register by upload, path or URI, list, show, forget; their split and snapshots."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from api.auth import require_user
from api.callbacks.bodies import read_object
from api.callbacks.routes import body_of
from api.datasets import queries, service
from api.datasets.place import wrong
from api.datasets.schemas import (
    DatasetDetail,
    DatasetList,
    DatasetReference,
    DatasetUpload,
    SnapshotDetail,
    SnapshotList,
    SplitRequest,
)
from api.datasets.upload import received
from api.models import Dataset, Snapshot
from api.platform import PlatformOf
from api.problems import problems

router = APIRouter(
    prefix="/api/v1/datasets", tags=["datasets"], dependencies=[Depends(require_user)], responses=problems(401)
)

snapshots_router = APIRouter(
    prefix="/api/v1/snapshots", tags=["datasets"], dependencies=[Depends(require_user)], responses=problems(401)
)

_UPLOAD_SCHEMA = DatasetUpload.model_json_schema()
_UPLOAD_SCHEMA["properties"]["file"] = {"type": "string", "format": "binary", "description": "one .zip"}
_BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": DatasetReference.model_json_schema()},
            "multipart/form-data": {"schema": _UPLOAD_SCHEMA | {"required": ["file"]}},
        },
    }
}


@router.post(
    "", status_code=201, response_model=DatasetDetail, openapi_extra=_BODIES, responses=problems(409, 413, 422, 507)
)
async def add_dataset(request: Request, platform: PlatformOf) -> Dataset:
    """Register a dataset: upload a .zip as multipart/form-data, or name a path or URI as JSON."""
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        settings = platform.settings
        async with received(request, folder=settings.resolved_home(), limit=settings.upload_limit) as (
            file,
            name,
            told,
        ):
            return await run_in_threadpool(
                service.add_upload, platform, file, id=told.id or PurePath(name).stem, name=told.name, called=name
            )
    try:
        asked = DatasetReference.model_validate(read_object(await body_of(request)))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise wrong(field, f"{field}: {first['msg']}", "known fields are id, name, path and uri") from error
    return await run_in_threadpool(service.add_reference, platform, asked)


@router.get("", response_model=DatasetList)
def list_datasets(platform: PlatformOf) -> dict[str, Any]:
    """List the datasets, newest first."""
    with platform.database.read() as session:
        return {"items": queries.every(session)}


@router.get("/{dataset_id}", response_model=DatasetDetail, responses=problems(404))
def show_dataset(dataset_id: str, platform: PlatformOf) -> Dataset:
    """Show a dataset with what the last check saw."""
    with platform.database.read() as session:
        return queries.one(session, dataset_id)


@router.put("/{dataset_id}/split", response_model=DatasetDetail, responses=problems(404, 409, 422))
def set_split(dataset_id: str, asked: SplitRequest, platform: PlatformOf) -> Dataset:
    """Set how jobs that leave it to the dataset divide its images; null goes back to what its own files say."""
    return service.set_split(platform, dataset_id, asked.split)


@router.delete("/{dataset_id}", status_code=204, responses=problems(404, 409))
def delete_dataset(dataset_id: str, platform: PlatformOf) -> None:
    """Forget a dataset; an uploaded one is removed from storage, a referenced one is left alone."""
    service.delete(platform, dataset_id)


@router.get("/{dataset_id}/snapshots", response_model=SnapshotList, responses=problems(404))
def list_snapshots(dataset_id: str, platform: PlatformOf) -> dict[str, Any]:
    """List what jobs trained on, newest first."""
    with platform.database.read() as session:
        queries.one(session, dataset_id)
        return {"items": queries.snapshots(session, dataset_id)}


@router.get("/{dataset_id}/snapshots/{snapshot_id}", response_model=SnapshotDetail, responses=problems(404))
def show_snapshot(dataset_id: str, snapshot_id: str, platform: PlatformOf) -> Snapshot:
    """Show a snapshot with the ids of its images, split by split."""
    with platform.database.read() as session:
        return queries.snapshot(session, dataset_id, snapshot_id)


@snapshots_router.get("/{snapshot_id}", response_model=SnapshotDetail, responses=problems(404))
def find_snapshot(snapshot_id: str, platform: PlatformOf) -> Snapshot:
    """Show a snapshot by its id alone: it names its dataset."""
    with platform.database.read() as session:
        return queries.any_snapshot(session, snapshot_id)
