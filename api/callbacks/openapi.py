"""What the OpenAPI document says of the callbacks' bodies, which are read by hand."""

from __future__ import annotations

from typing import Any

_NUMBERS = {
    "type": "object",
    "additionalProperties": {"type": ["number", "null"]},
    "description": "NaN and Infinity are understood and stored as null.",
}
_COUNT = {"type": "integer", "minimum": 0}
_TRACE = {"type": "string", "description": "The job's TRACE_ID."}

_HEARTBEAT: dict[str, Any] = {
    "type": "object",
    "required": ["trace_id"],
    "properties": {
        "trace_id": _TRACE,
        "epoch": _COUNT,
        "total_epochs": _COUNT,
        "step": _COUNT,
        "total_steps": _COUNT,
        "progress": {"type": "number", "minimum": 0, "maximum": 100},
        "metrics": _NUMBERS,
    },
}
_EVENT = {
    "type": "object",
    "required": ["event_type"],
    "properties": {
        "trace_id": _TRACE,
        "level": {"enum": ["info", "warning", "error"], "default": "info"},
        "event_type": {"type": "string", "maxLength": 64, "examples": ["checkpoint_saved", "training_started"]},
        "message": {"type": "string"},
        "data": {"type": "object"},
    },
}
_DONE = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "trace_id": _TRACE,
        "status": {"enum": ["succeeded", "failed", "cancelled"]},
        "error": {"type": ["string", "null"]},
        "error_type": {"type": ["string", "null"], "examples": ["DATASET_ERROR"]},
        "final_metrics": _NUMBERS,
        "artifacts": {"type": "object", "examples": [{"best_checkpoint": "s3://bucket/checkpoints/best.pt"}]},
        "mlflow_run_id": {"type": ["string", "null"]},
        "training_time_seconds": {"type": ["number", "null"]},
    },
}


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


HEARTBEAT_BODY = _body({"oneOf": [_HEARTBEAT, {"type": "array", "items": _HEARTBEAT, "maxItems": 1000}]})
EVENT_BODY = _body(_EVENT)
DONE_BODY = _body(_DONE)
