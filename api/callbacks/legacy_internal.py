"""The older words, `/internal/training/{id}/…`: thin readings onto the same services."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api.auth import JobClaims
from api.callbacks.asgi import CallbackApp
from api.callbacks.bodies import kind, read_object, to_beat, wrong
from api.callbacks.routes import CallbacksOf, ClaimsOf, body_of
from api.callbacks.schemas import to_done, to_event
from api.callbacks.service import record_done, record_event, state_of

router = APIRouter(prefix="/internal/training/{job_id}", tags=["callbacks (older words)"])

_ENDINGS = frozenset({"completed", "succeeded", "failed", "stopped", "cancelled"})
_BEGINNINGS = frozenset({"pending", "queued", "starting", "running"})
_SHAPE = {"current_epoch": "epoch", "max_epochs": "total_epochs", "progress_percent": "progress"}


@router.patch("/status")
async def status(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, Any]:
    """Say how training stands: `running` is a heartbeat, `completed`, `failed` and `stopped` are its end."""
    value = read_object(await body_of(request))
    word = value.get("status")
    if not isinstance(word, str) or word.lower() not in _ENDINGS | _BEGINNINGS:
        raise wrong("status", f"expected running, completed, failed or stopped, got {word!r}")
    if word.lower() in _ENDINGS:
        await run_in_threadpool(record_done, callbacks.platform, claims, to_done(value))
        return {"status": "ok", "should_continue": False}
    return await beat(callbacks, claims, renamed(value))


@router.post("/metrics")
async def metrics(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, Any]:
    """Tell one metric: `{name, value, epoch, step}`."""
    value = read_object(await body_of(request))
    name = value.pop("name", None)
    if not isinstance(name, str) or not name:
        raise wrong("name", f"expected a string, got {kind(name)}")
    if "value" not in value:
        raise wrong("value", "required")
    return await beat(callbacks, claims, renamed(value | {"metrics": {name: value.pop("value")}}))


@router.post("/training-metrics")
async def training_metrics(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, Any]:
    """Tell an epoch's metrics: `{epoch, metrics}`, or the numbers flat beside `epoch`."""
    return await beat(callbacks, claims, with_metrics(read_object(await body_of(request))))


@router.post("/validation-results")
async def validation_results(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, Any]:
    """Tell a validation's results: the numbers become metrics of the epoch, the whole an event."""
    value = read_object(await body_of(request))
    return await validated(callbacks, claims, value)


@router.post("/logs")
async def logs(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, str]:
    """Tell one line of the log: `{message, level, epoch, timestamp}`."""
    value = read_object(await body_of(request))
    await tell(callbacks, claims, line(value))
    return {"status": "ok"}


@router.get("/health")
async def health(claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, str]:
    """Ask whether the platform listens, and how the job stands."""
    state = await run_in_threadpool(state_of, callbacks.platform, claims.job_id)
    return {"status": "ok", "job_status": state}


async def beat(callbacks: CallbackApp, claims: JobClaims, value: dict[str, Any]) -> dict[str, Any]:
    """Stores a heartbeat whose sender knows no trace id; returns the answer."""
    heartbeat = to_beat(value | {"trace_id": ""})
    callbacks.beats.take(claims.job_id)
    received_at = callbacks.platform.clock()
    go_on = await callbacks.writer.submit(claims, [heartbeat], received_at=received_at, traced=False)
    return {"status": "ok", "should_continue": go_on}


async def tell(callbacks: CallbackApp, claims: JobClaims, value: dict[str, Any]) -> None:
    """Records an event whose sender knows no trace id."""
    event = to_event({name: item for name, item in value.items() if name != "trace_id"})
    callbacks.events.take(claims.job_id)
    await run_in_threadpool(record_event, callbacks.platform, claims, event, idempotency_key=None)


async def validated(callbacks: CallbackApp, claims: JobClaims, value: dict[str, Any]) -> dict[str, Any]:
    """Stores a validation: its numbers as metrics of their epoch, and the whole as an event."""
    shaped = with_metrics(value)
    primary, number = value.get("primary_metric_name"), value.get("primary_metric_value")
    if isinstance(primary, str) and isinstance(number, int | float) and not isinstance(number, bool):
        shaped["metrics"] = {primary: number} | shaped["metrics"]
    about: dict[str, Any] = {name: item for name, item in shaped.items() if name in ("epoch", "step", "metrics")}
    answer = await beat(callbacks, claims, about)
    when = f" of epoch {value['epoch']}" if "epoch" in value else ""
    await tell(callbacks, claims, {"event_type": "validation_complete", "message": f"validation{when}", "data": value})
    return answer


def renamed(value: dict[str, Any]) -> dict[str, Any]:
    """Returns a heartbeat with the contract's names in place of the older ones."""
    return {_SHAPE.get(name, name): item for name, item in value.items() if item is not None}


def with_metrics(value: dict[str, Any]) -> dict[str, Any]:
    """Returns a heartbeat whose `metrics` are flat numbers: names of nested groups are joined by a slash."""
    value = renamed(value)
    told = value.pop("metrics", None)
    if told is None:
        named = {"epoch", "total_epochs", "step", "total_steps", "progress"}
        told = {n: v for n, v in value.items() if n not in named and _is_number(v)}
        value = {n: v for n, v in value.items() if n not in told}
    if not isinstance(told, dict):
        raise wrong("metrics", f"expected an object of numbers, got {kind(told)}")
    return value | {"metrics": flat(told)}


def flat(metrics: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns the numbers of nested metrics under one level of names; `extra_metrics` is a group without a name."""
    found: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            found |= flat(value, prefix if name == "extra_metrics" else f"{prefix}{name}/")
        elif value is None or _is_number(value):
            found[f"{prefix}{name}"] = value
    return found


def line(value: dict[str, Any]) -> dict[str, Any]:
    """Returns one line of a log as an event; its own type of event is kept where it is one."""
    told, message = value.get("event_type"), value.get("message")
    if not isinstance(message, str):
        raise wrong("message", f"expected a string, got {kind(message)}")
    data = value.get("data") if isinstance(value.get("data"), dict) else {}
    rest = {
        n: v for n, v in value.items() if n in ("epoch", "step", "timestamp", "metadata", "source") and v is not None
    }
    return {
        "event_type": told if isinstance(told, str) and told else "log",
        "level": value.get("level"),
        "message": message,
        "data": {**rest, **(data or {})},
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
