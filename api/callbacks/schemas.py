"""Reads the two rarer callbacks, `event` and `done`, by the same rules as a heartbeat."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from typing import Any

from api.callbacks.bodies import finite, kind, read_object, wrong
from api.jobs.status import SEED_WORDS, State

DONE_STATES = (State.SUCCEEDED, State.FAILED, State.CANCELLED)

_EVENT_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}")
_LEVELS = {
    "debug": "info",
    "info": "info",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
    "critical": "error",
    "fatal": "error",
}
_EVENT_KEYS = frozenset({"trace_id", "level", "event_type", "message", "data"})


@dataclass(frozen=True, kw_only=True)
class EventBody:
    """Something a trainer tells."""

    event_type: str
    level: str = "info"
    message: str = ""
    data: dict[str, Any]
    trace_id: str | None = None
    digest: str
    """SHA-256 of the content: what makes it the same event when it is sent twice."""


@dataclass(frozen=True, kw_only=True)
class DoneBody:
    """How training ended, as the trainer sees it."""

    status: State
    trace_id: str | None
    final_metrics: dict[str, Any] | None
    """Null in place of NaN and infinity."""
    not_finite: tuple[str, ...]
    artifacts: dict[str, Any]
    record: dict[str, Any]
    """Everything that was said, `status` in our word."""


def read_event(body: bytes) -> EventBody:
    """Returns the event of a body; raises Invalid, which names the field."""
    return to_event(read_object(body))


def to_event(value: dict[str, Any]) -> EventBody:
    """Returns an event from parsed JSON; unknown keys are kept in its data, under `_extra`."""
    event_type = _text(value, "event_type")
    if event_type is None:
        raise wrong("event_type", "required")
    if not _EVENT_TYPE.fullmatch(event_type):
        raise wrong("event_type", "expected a slug of at most 64 letters, digits and _ - . : /")
    level = _LEVELS.get((_text(value, "level") or "info").lower())
    if level is None:
        raise wrong("level", f"expected info, warning or error, got {value['level']!r}")
    data = _object(value, "data") or {}
    extra = {name: item for name, item in value.items() if name not in _EVENT_KEYS}
    return EventBody(
        event_type=event_type,
        level=level,
        message=_text(value, "message") or "",
        data=finite(data | {"_extra": extra} if extra else data),
        trace_id=_text(value, "trace_id"),
        digest=hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest(),
    )


def read_done(body: bytes) -> DoneBody:
    """Returns the `done` of a body; raises Invalid, which names the field."""
    return to_done(read_object(body))


def to_done(value: dict[str, Any]) -> DoneBody:
    """Returns a `done` from parsed JSON; seeds' words for its status are understood."""
    word = _text(value, "status")
    if word is None:
        raise wrong("status", "required")
    status = SEED_WORDS.get(word.lower()) or next((state for state in DONE_STATES if state == word.lower()), None)
    if status is None:
        raise wrong("status", f"expected succeeded, failed or cancelled, got {word!r}")
    _text(value, "mlflow_run_id")
    seconds = value.get("training_time_seconds")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
        raise wrong("training_time_seconds", f"expected a number, got {kind(seconds)}")
    if value.get("error") is not None and not isinstance(value["error"], str | dict):
        raise wrong("error", f"expected a string, got {kind(value['error'])}")
    metrics = _object(value, "final_metrics")
    return DoneBody(
        status=status,
        trace_id=_text(value, "trace_id"),
        final_metrics=finite(metrics),
        not_finite=tuple(n for n, v in (metrics or {}).items() if isinstance(v, float) and not math.isfinite(v)),
        artifacts=finite(_object(value, "artifacts") or {}),
        record=finite(value) | {"status": status.value},
    )


def _text(value: dict[str, Any], name: str) -> str | None:
    item = value.get(name)
    if item is not None and not isinstance(item, str):
        raise wrong(name, f"expected a string, got {kind(item)}")
    # A text column of PostgreSQL takes every character but this one.
    return item.replace("\0", "\ufffd") if item is not None else None


def _object(value: dict[str, Any], name: str) -> dict[str, Any] | None:
    item = value.get(name)
    if item is not None and not isinstance(item, dict):
        raise wrong(name, f"expected an object, got {kind(item)}")
    return item
