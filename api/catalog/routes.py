"""The addresses under which frameworks and models are read."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.auth import require_user
from api.catalog import service
from api.catalog.schemas import FrameworkDetail, FrameworkList, ModelDetail, ModelList
from api.problems import problems

router = APIRouter(
    prefix="/api/v1/trainer", tags=["catalogue"], dependencies=[Depends(require_user)], responses=problems(401)
)

Name = Annotated[str, Path(max_length=128)]


@router.get("/frameworks", summary="List frameworks")
def list_frameworks() -> FrameworkList:
    """List the frameworks that can train."""
    return service.list_frameworks()


@router.get("/frameworks/{framework}", summary="Read a framework", responses=problems(404))
def get_framework(framework: Name) -> FrameworkDetail:
    """Read a framework with its hyperparameters, defaults and own settings as JSON Schema."""
    return service.show_framework(framework)


@router.get("/models", summary="List models", responses=problems(404, 422))
def list_models(
    framework: Annotated[str | None, Query(max_length=128, description="only this framework's")] = None,
    task: Annotated[str | None, Query(max_length=128, description="only those for this task")] = None,
) -> ModelList:
    """List the models that can be trained."""
    return service.list_models(framework=framework, task=task)


@router.get("/models/{framework}/{model}", summary="Read a model", responses=problems(404))
def get_model(framework: Name, model: Name) -> ModelDetail:
    """Read a model with its hyperparameters, defaults and metrics, and the shortest job that trains it."""
    return service.show_model(framework, model)
