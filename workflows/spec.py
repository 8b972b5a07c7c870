"""JobSpec: the whole of what a person asks for, strict and frozen, the same from a file, the API and a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from workflows.explain import explain
from workflows.jobfile import read_job
from workflows.problems import Problem, SpecError
from workflows.quantities import Duration, Memory, parse_cpu
from workflows.request_rules import check_request, normalised
from workflows.resolve import filled
from workflows.split import Split

__all__ = [
    "Hyperparameters",
    "JobSpec",
    "Limits",
    "PrimaryMetric",
    "Problem",
    "Resources",
    "SpecError",
    "Split",
]

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

CpuCores = Annotated[
    int | float,
    BeforeValidator(parse_cpu),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0.001}, {"type": "string", "pattern": r"^\d+m$"}]}),
]


class Hyperparameters(BaseModel):
    """The settings every framework knows; what is left out takes the framework's default."""

    model_config = _STRICT

    epochs: int | None = Field(None, ge=1, le=100_000, description="passes over the training images")
    batch: int | None = Field(None, ge=1, le=65_536, description="images per step, over all GPUs")
    image_size: int | None = Field(None, ge=8, le=16_384, description="side of the square the model sees, in pixels")
    learning_rate: float | None = Field(None, gt=0, le=10, description="initial learning rate")
    optimizer: str | None = Field(None, min_length=1, max_length=64, description="as the framework names it")
    seed: int | None = Field(None, ge=0, le=2**31 - 1, description="same seed, same data, same version: same training")


class PrimaryMetric(BaseModel):
    """The metric that decides which checkpoint is the best."""

    model_config = _STRICT

    name: str = Field(min_length=1, max_length=128, pattern=r"^[\w./()@:%-]+$", description="as the trainer reports it")
    mode: Literal["max", "min"] = Field(description="whether more or less is better; from the name where left out")

    @model_validator(mode="before")
    @classmethod
    def _mode_from_name(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("mode") is None and isinstance(data.get("name"), str):
            less = any(word in data["name"].lower() for word in ("loss", "error", "rmse", "mae"))
            return {**data, "mode": "min" if less else "max"}
        return data


class Resources(BaseModel):
    """What the training step may use."""

    model_config = _STRICT

    gpu: int | None = Field(None, ge=0, le=64, description="GPUs; 0 trains on the CPU")
    cpu: CpuCores | None = Field(None, description="CPU cores: 2, 0.5 or 500m")
    memory: Memory | None = Field(None, description="main memory, shared memory included")
    shared_memory: Memory | None = Field(None, description="/dev/shm, through which data loaders hand over batches")
    workspace: Memory | None = Field(None, description="disk for the dataset, its conversion and checkpoints")


class Limits(BaseModel):
    """How long a job may take."""

    model_config = _STRICT

    total: Duration | None = Field(None, description="from start to end, all steps and retries")
    train: Duration | None = Field(None, description="one try of the training step")
    no_heartbeat: Duration | None = Field(None, description="silence of a running trainer after which the job fails")
    pending: Duration | None = Field(None, description="waiting for a node, an image or a volume until the job fails")


class JobSpec(BaseModel):
    """One training job, as asked for; raises SpecError with every problem at once."""

    model_config = _STRICT

    name: str | None = Field(None, min_length=1, max_length=120, description="what people call this job")
    project: str | None = Field(None, max_length=64, description="groups jobs and their checkpoints")
    framework: str = Field(description="who trains: see `tiphys frameworks`")
    model: str | None = Field(None, max_length=128, description="what is trained: see `tiphys models`")
    task: str | None = Field(None, description="what the model learns to do; from the model where it knows one task")
    dataset: str = Field(min_length=1, max_length=1024, description="an id, a path or a URI")
    snapshot: str | None = Field(
        None, pattern=r"^snap_[0-9a-f]{12}$", description="train on what an earlier job trained on: the id it was given"
    )
    convert: Literal["yolo", "coco", "imagefolder", "masks", "none"] | None = Field(
        None, description="framework custom: the form in which it reads the dataset; none: as it was fetched"
    )
    image: str | None = Field(None, max_length=512, description="framework custom: the container image Argo runs")
    command: tuple[str, ...] | None = Field(
        None, strict=False, min_length=1, max_length=256, description="framework custom: the program and its arguments"
    )
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters)
    advanced_config: dict[str, Any] = Field(default_factory=dict, description="the framework's own settings")
    split: Split = Field(default_factory=Split)
    primary_metric: PrimaryMetric | None = None
    resources: Resources = Field(default_factory=Resources)
    limits: Limits = Field(default_factory=Limits)
    labels: dict[str, str] = Field(default_factory=dict, description="own words to find jobs by")

    @model_validator(mode="wrap")
    @classmethod
    def _all_at_once(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            cure = "write a mapping with at least framework, model and dataset"
            raise SpecError([Problem("", f"a job is a mapping of fields, not a {type(data).__name__}", cure)])
        request = normalised(data)
        problems = check_request(request)
        try:
            spec = handler(request)
        except ValidationError as error:
            told = {problem.field for problem in problems}
            problems = [p for p in explain(error, cls) if p.field not in told] + problems
        if problems:
            raise SpecError(sorted(problems, key=_place))
        return spec

    @classmethod
    def from_yaml(cls, text: str) -> JobSpec:
        """Reads a job file; raises SpecError."""
        return cls.from_mapping(read_job(text))

    @classmethod
    def from_mapping(cls, obj: Mapping[str, Any]) -> JobSpec:
        """Reads a job from what JSON or YAML gave; raises SpecError."""
        return cls.model_validate(obj)

    def to_mapping(self) -> dict[str, Any]:
        """Returns the job as plain JSON values, without what was left open; `from_mapping` reads it back."""
        return _without_none(self.model_dump(mode="json"))

    def resolved(self) -> JobSpec:
        """Returns the job with every default of its framework and model filled in; resolving twice changes nothing."""
        return JobSpec.from_mapping(filled(self.to_mapping()))


def _without_none(dump: dict[str, Any]) -> dict[str, Any]:
    # advanced_config and split.splits carry nulls that mean something: only the models' own fields are dropped.
    parts = ("hyperparameters", "split", "resources", "limits")
    pruned = {
        key: {name: item for name, item in value.items() if item is not None} if key in parts else value
        for key, value in dump.items()
        if value is not None
    }
    return {key: value for key, value in pruned.items() if value != {}}


def _place(problem: Problem) -> tuple[int, str]:
    # In the order of the file's fields, so that a person can go through it from the top.
    names = list(JobSpec.model_fields)
    head = problem.field.partition(".")[0]
    return (names.index(head) if head in names else -1, problem.field)
