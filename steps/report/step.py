"""The report step in a pipeline, and the same at the workflow's exit: delivers `done`, or makes it first."""

import contextlib
import json
import math
import re
from pathlib import Path
from typing import Any

from steps.report.failures import last_failure
from steps.trainer_sdk import ErrorType, TrainerSDK

AGAIN = 75


def report(sdk: TrainerSDK) -> int:
    """Delivers the trainer's `done`, or one made of what the workspace knows; 75 when the platform is away."""
    if _said(sdk):
        return 0 if sdk.deliver_done() else AGAIN
    metrics = _metrics(sdk)
    sdk.log("INFO", "the trainer did not tell its end itself; it is told for it")
    try:
        sdk.report_completed(metrics, _checkpoints(sdk), _epochs(sdk))
    except SystemExit:  # the platform could not be told
        return AGAIN
    return 0


def report_at_exit(sdk: TrainerSDK, *, status: str, failures: str) -> int:
    """Tells a workflow's end; 75 while the trainer's own word cannot be delivered, for it is in no other place.

    What this step made up itself is told once: the platform sees the same from the workflow.
    """
    _release(sdk)
    said = _said(sdk)
    if said or status == "Succeeded":
        told = sdk.deliver_done() if said else True
    else:
        failure = last_failure(failures, status=status)
        try:
            if failure.stopped:
                sdk.report_cancelled()
                told = True
            else:
                known = failure.error_type in ErrorType.__members__
                kind = ErrorType(failure.error_type) if known else ErrorType.UNKNOWN_ERROR
                told = sdk.report_failed(kind, failure.message, detail=failure.detail)
        except SystemExit:  # the platform could not be told
            told = False
    if not told:
        sdk.log("WARNING", "the platform could not be told of the end; it will see it from the workflow itself")
    return AGAIN if said and not told else 0


def _release(sdk: TrainerSDK) -> None:
    """Lets the cache go again what this job read: its leases are files of its name."""
    cache, name = sdk.environ.get("CACHE_DIR"), re.sub(r"[^\w.-]", "_", sdk.job_id)[:100]
    if not cache:
        return
    for lease in Path(cache).glob(f"leases/*/{name}"):
        with contextlib.suppress(OSError):  # a lease that stays ends by itself after some days
            lease.unlink()


def _said(sdk: TrainerSDK) -> bool:
    path = Path(sdk.work_dir, "done.json")
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        sdk.log("WARNING", f"{path} cannot be read and is passed over: {error}")
        return False


def _metrics(sdk: TrainerSDK) -> dict[str, float]:
    name = sdk.get_basic_config().get("primary_metric") or "best_metric"
    value = _output(sdk, "best_metric")
    try:
        number = float(value)
    except ValueError:
        return {}
    return {name: number} if math.isfinite(number) else {}


def _epochs(sdk: TrainerSDK) -> int | None:
    value = _output(sdk, "epochs")
    return int(value) if value.isdigit() else None


def _output(sdk: TrainerSDK, name: str) -> str:
    path = Path(sdk.work_dir, "outputs", "train", name)
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def _checkpoints(sdk: TrainerSDK) -> dict[str, Any]:
    path = Path(sdk.work_dir, "outputs", "upload", "checkpoint_uri")
    try:
        uri = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return {}
    kind = uri.rpartition("/")[2].partition(".")[0]
    return {kind: uri} if uri else {}
