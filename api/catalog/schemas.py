"""The shapes in which frameworks and models are told."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class ModelView(BaseModel):
    """One model."""

    name: str = Field(examples=["yolo11n"])
    framework: str
    task: str
    title: str
    parameters: float | None = Field(description="millions of weights")
    pretrained: bool = Field(description="whether it can begin from weights in storage")


class MetricView(BaseModel):
    """What may decide which checkpoint is the best."""

    name: str
    mode: str = Field(description="max: more is better; min: less is")


class FrameworkView(BaseModel):
    """One framework."""

    name: str = Field(examples=["ultralytics"])
    title: str
    description: str
    tasks: list[str]
    image: str | None = Field(description="null where the job brings its own")
    models: list[str]
    requires_checkpoint: bool = Field(description="a training that leaves no checkpoint has failed")


class FrameworkDetail(FrameworkView):
    """One framework with everything a job may ask of it."""

    defaults: dict[str, Any] = Field(description="hyperparameters of a job that does not say")
    hyperparameters: dict[str, Any] = Field(description="JSON Schema of `hyperparameters`")
    advanced_config: dict[str, Any] = Field(description="JSON Schema of `advanced_config`")
    resources: dict[str, Any] = Field(description="what a job gets that does not say")
    metrics: dict[str, list[MetricView]] = Field(description="by task; a task that is not here takes any name")


class ModelDetail(ModelView):
    """One model with everything a job may ask of it."""

    defaults: dict[str, Any] = Field(description="hyperparameters of a job that does not say")
    hyperparameters: dict[str, Any] = Field(description="JSON Schema of `hyperparameters`")
    advanced_config: dict[str, Any] = Field(description="JSON Schema of `advanced_config`")
    resources: dict[str, Any]
    metrics: list[MetricView] = Field(description="its default primary metric first")
    example: dict[str, Any] = Field(description="the shortest job that trains it")


class FrameworkList(BaseModel):
    """All frameworks."""

    items: list[FrameworkView]


class ModelList(BaseModel):
    """Models, by framework and name."""

    items: list[ModelView]
