"""What a framework and a model are: the words the catalogue is written in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

Schema = Mapping[str, Any]
"""One property of a JSON Schema."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model of a framework."""

    name: str
    framework: str
    task: str
    title: str
    parameters: float | None = None
    """Millions of weights."""
    weights: str | None = None
    """Ending of its pretrained weights in storage; None where there are none."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number a trainer reports; `mode` says whether more (`max`) or less (`min`) of it is better."""

    name: str
    mode: str


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One way to train: an image, the module it runs, and what a job may ask of it."""

    name: str
    title: str
    description: str
    image: str | None
    """The trainer's image without prefix and tag; None where the job brings its own."""
    module: str | None
    """The Python module the training step runs; None where the job brings its command."""
    targets: Mapping[str, str]
    """Task → the layout its dataset is converted to (`none`: it stays as it is)."""
    models: Mapping[str, Model]
    hyperparameters: Mapping[str, Schema]
    """The hyperparameters it understands, with bounds and defaults."""
    resources: Mapping[str, Any]
    """What a job gets that does not say."""
    metrics: Mapping[str, tuple[Metric, ...]] = field(default_factory=lambda: NOTHING)
    """Task → what may decide the best checkpoint, the default first; a task that is not here takes any name."""
    advanced_file: str | None = None
    """Data file with its own settings; None: it has none."""
    any_model: bool = False
    """The model is but a name, and so are the settings: nobody here knows what they mean."""
    most_gpus: int | None = None
    """GPUs one job of it can use; None: as many as it likes."""
    requires_checkpoint: bool = True
    """A training that leaves no checkpoint has failed."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks it can be trained for."""
        return tuple(self.targets)

    @property
    def advanced(self) -> Mapping[str, Schema]:
        """Its own settings by key, each with type, default and description."""
        return read_settings(self.advanced_file) if self.advanced_file else NOTHING


@cache
def read_settings(file: str) -> Mapping[str, Schema]:
    """Reads a data file of settings that lies beside this module: what its trainer prints with `--advanced-keys`."""
    document = json.loads(resources.files("workflows.frameworks").joinpath(file).read_text("utf-8"))
    return MappingProxyType({key: MappingProxyType(entry) for key, entry in document.items()})
