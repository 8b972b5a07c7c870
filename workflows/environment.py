"""The variables a job's containers get: paths, URIs and settings, never a secret."""

from __future__ import annotations

import json
import math
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from workflows import keys
from workflows.attempt import Run
from workflows.catalog import FRAMEWORKS
from workflows.spec import JobSpec

CACHE = "/cache"
"""Where the steps that use the cache find it mounted."""


def environment(spec: JobSpec, run: Run, *, work_dir: str = "/workspace", cached: bool = False) -> dict[str, str]:
    """Returns the variables of a resolved job, sorted by name; `cached` for a step that has the cache mounted."""
    cached = cached and run.cache_claim is not None
    hyper = spec.hyperparameters
    storage = run.storage
    variables = {
        "JOB_ID": run.job_id,
        "ATTEMPT": str(run.attempt),
        "TRACE_ID": run.trace_id,
        "BACKEND_BASE_URL": run.backend_url,
        "PROJECT_ID": spec.project,
        "FRAMEWORK": spec.framework,
        "MODEL_NAME": spec.model,
        "TASK_TYPE": spec.task,
        "DATASET_ID": dataset_id(spec.dataset),
        "DATASET_S3_URI": run.dataset_uri,
        "SNAPSHOT_ID": run.snapshot_id,
        "DATASET_VERSION_HASH": run.dataset_version_hash,
        "EPOCHS": _text(hyper.epochs),
        "BATCH_SIZE": _text(hyper.batch),
        "LEARNING_RATE": _text(_learning_rate(spec)),
        "IMAGE_SIZE": _text(hyper.image_size),
        "DEVICE": device(spec),
        "CONFIG": config(spec),
        "CHECKPOINTS_URI": storage.uri(keys.checkpoints_prefix(spec.project, run.job_id)),
        "LOGS_URI": storage.uri(keys.logs_prefix(run.job_id)),
        "PRETRAINED_URI": pretrained_uri(spec, run),
        "PRETRAINED_SOURCE": pretrained_source(spec, run),
        "SNAPSHOTS_URI": storage.uri(keys.snapshots_prefix()),
        "CACHE_DIR": CACHE if cached else None,
        "CACHE_LIMIT": run.cache_limit if cached else None,
        "MLFLOW_TRACKING_URI": run.mlflow_tracking_uri,
        "RESUME": "1" if run.resume else None,
        "WORK_DIR": work_dir,
        "TMP_DIR": "/tmp",
        **storage.environment(),
    }
    return {name: value for name, value in sorted(variables.items()) if value is not None}


def config(spec: JobSpec) -> str:
    """Returns `CONFIG`: the same settings as one JSON object, compact, its keys sorted."""
    hyper, metric = spec.hyperparameters, spec.primary_metric
    settings: dict[str, Any] = {
        "epochs": hyper.epochs,
        "batch": hyper.batch,
        "imgsz": hyper.image_size,
        "learning_rate": _learning_rate(spec),
        "optimizer": hyper.optimizer,
        "seed": hyper.seed,
        "device": device(spec),
        "advanced_config": spec.advanced_config or None,
        "primary_metric": metric.name if metric else None,
        "primary_metric_mode": metric.mode if metric else None,
        "split_config": spec.split.config(),
    }
    told = {key: value for key, value in settings.items() if value is not None}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # In a user's text Argo would take '{{' for a reference, and the kubelet '$(' for a variable: both say the same in
    # JSON's escapes. Outside of texts JSON has neither, for a key must follow '{'.
    return text.replace("{{", "{\\u007b").replace("$(", "\\u0024(")


def device(spec: JobSpec) -> str:
    """Returns where a training runs: `cpu`, or the GPUs as the container numbers them."""
    return ",".join(str(n) for n in range(spec.resources.gpu or 0)) or "cpu"


def threads(spec: JobSpec) -> int:
    """Returns how many threads a training may use: more than the container's cores make it slower by far."""
    return max(1, math.ceil(spec.resources.cpu or 1))


def dataset_id(dataset: str) -> str:
    """Returns the name of a dataset given as id, path or URI."""
    path = unquote(urlsplit(dataset).path) if "://" in dataset else dataset
    name = path.replace("\\", "/").rstrip("/").rpartition("/")[2].removesuffix(".zip")
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "dataset"


def pretrained_uri(spec: JobSpec, run: Run) -> str | None:
    """Returns where the model's pretrained weights lie if the storage has them, or None for a model without any."""
    model = FRAMEWORKS[spec.framework].models.get(spec.model or "")
    if model is None or model.weights is None:
        return None
    return run.storage.uri(keys.pretrained(spec.framework, model.name, model.weights))


def pretrained_source(spec: JobSpec, run: Run) -> str | None:
    """Returns the address of a model's pretrained weights outside the storage, None where none may be asked."""
    model = FRAMEWORKS[spec.framework].models.get(spec.model or "")
    if run.pretrained_source is None or model is None or model.weights is None:
        return None
    names = {"{framework}": spec.framework, "{model}": model.name, "{ext}": model.weights}
    return re.sub(r"\{(?:framework|model|ext)\}", lambda found: names[found.group()], run.pretrained_source)


def _learning_rate(spec: JobSpec) -> float | None:
    if spec.hyperparameters.learning_rate is not None:
        return spec.hyperparameters.learning_rate
    default = FRAMEWORKS[spec.framework].hyperparameters["learning_rate"].get("default")
    return None if default is None else float(default)


def _text(value: float | None) -> str | None:
    return None if value is None else repr(value)
