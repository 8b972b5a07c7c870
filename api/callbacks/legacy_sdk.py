"""The callbacks of the single-file SDK's older protocol, `/api/v1/training/jobs/{id}/callback/…`, by job token."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api.auth import JobClaims
from api.callbacks.asgi import CallbackApp
from api.callbacks.bodies import read_object
from api.callbacks.legacy_internal import beat, flat, line, tell, validated, with_metrics
from api.callbacks.routes import CallbacksOf, ClaimsOf, body_of
from api.callbacks.schemas import to_done
from api.callbacks.service import record_done, state_of
from api.jobs.status import ERROR_TYPE_REASONS

router = APIRouter(prefix="/api/v1", tags=["callbacks (older words)"])

_ERROR_TYPE = re.compile(r"\[([A-Za-z_]+)\]\s*")
_SAME = ("best_epoch", "traceback", "mlflow_run_id", "exit_code", "extra_data")


@router.post("/training/jobs/{job_id}/callback/progress")
async def sdk_progress(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, Any]:
    """Say how far training is."""
    value = read_object(await body_of(request))
    beat_value = with_metrics(value | {"metrics": value.get("metrics") or {}})
    await beat(callbacks, claims, beat_value)
    return await _answer(callbacks, claims)


@router.post("/training/jobs/{job_id}/callback/completion")
async def sdk_completion(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, Any]:
    """Tell how training ended."""
    value = read_object(await body_of(request))
    await run_in_threadpool(record_done, callbacks.platform, claims, to_done(_done(value)))
    return await _answer(callbacks, claims)


@router.post("/training/jobs/{job_id}/callback/logs")
async def sdk_logs(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, Any]:
    """Tell one line of the log."""
    await tell(callbacks, claims, line(read_object(await body_of(request))))
    return await _answer(callbacks, claims)


@router.post("/validation/jobs/{job_id}/results")
async def sdk_validation(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, Any]:
    """Tell a validation's results."""
    await validated(callbacks, claims, read_object(await body_of(request)))
    return await _answer(callbacks, claims)


async def _answer(callbacks: CallbackApp, claims: JobClaims) -> dict[str, Any]:
    state = await run_in_threadpool(state_of, callbacks.platform, claims.job_id)
    return {"success": True, "message": "recorded", "job_status": state}


def _done(value: dict[str, Any]) -> dict[str, Any]:
    error = value.get("error_message")
    done: dict[str, Any] = {"status": value.get("status"), "error": error}
    if isinstance(error, str):
        named = _ERROR_TYPE.match(error)
        if named and named[1].upper() in ERROR_TYPE_REASONS:
            done |= {"error_type": named[1].upper(), "error": error[named.end() :]}
    metrics = value.get("final_metrics")
    done["final_metrics"] = flat(metrics) if isinstance(metrics, dict) else metrics
    done["artifacts"] = {
        kind: value[name]
        for kind, name in (
            ("best_checkpoint", "best_checkpoint_path"),
            ("last_checkpoint", "last_checkpoint_path"),
            ("last_checkpoint", "final_checkpoint_path"),
        )
        if isinstance(value.get(name), str)
    }
    done["epochs_completed"] = value.get("total_epochs_completed")
    done["training_time_seconds"] = value.get("total_duration_seconds")
    return done | {name: value[name] for name in _SAME if name in value}
