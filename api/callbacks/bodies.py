"""Reads what trainers send: strict about the contract's fields, tolerant of everything else."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import msgspec

from api.errors import Invalid, TiphysError

BODY_LIMIT = 256 * 1024
"""Bytes one callback may be long."""
MAX_BEATS = 1000
"""Heartbeats one body may hold."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]

_NOT_FINITE_WORDS = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})
_COUNTS = ("epoch", "total_epochs", "step", "total_steps")


class BodyTooLarge(TiphysError):
    """A callback longer than the limit."""

    code, status, title = "body_too_large", 413, "Body too large"


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The contract's fields of a heartbeat."""

    trace_id: str
    epoch: Count | None = None
    total_epochs: Count | None = None
    step: Count | None = None
    total_steps: Count | None = None
    progress: Percent | None = None
    metrics: dict[str, float | None] | None = None
    # What the SDK adds: known here so that its heartbeats take the fast way; kept with what is unknown.
    timestamp: Any = None
    extra_data: Any = None
    non_finite: Any = None
    """Metrics that were NaN or infinite and are null in here, since JSON has no word for them."""


class Beat(msgspec.Struct, frozen=True, gc=False):
    """One heartbeat as understood: the contract's fields, what else was said, which metrics were no number."""

    reading: Reading
    extra: dict[str, Any] | None = None
    not_finite: tuple[str, ...] = ()


_BESIDE = ("timestamp", "extra_data")
_KNOWN = frozenset(Reading.__struct_fields__)
# Built once: the decoder is what makes the usual body cost microseconds.
_READ_ONE = msgspec.json.Decoder(Reading)


def read_heartbeats(body: bytes) -> list[Beat]:
    """Returns the heartbeats of a body: one object, or a list of them.

    Raises:
        Invalid: the body is no JSON, or a field is of the wrong type or out of range; every message names the field.
    """
    try:
        reading = _READ_ONE.decode(body)
        return [Beat(reading, _beside(reading), _names(reading))]
    except msgspec.DecodeError:
        # Unknown keys, NaN, a list, or something wrong: read again, slowly and exactly.
        value = read_json(body)
    if not isinstance(value, list):
        return [to_beat(value)]
    if not 1 <= len(value) <= MAX_BEATS:
        raise wrong("body", f"expected 1 to {MAX_BEATS} heartbeats, got {len(value)}")
    return [to_beat(item, where=f"[{index}].") for index, item in enumerate(value)]


def to_beat(value: Any, *, where: str = "") -> Beat:
    """Returns a heartbeat from parsed JSON; `where` goes before the names of fields in errors."""
    if not isinstance(value, dict):
        raise wrong(where.rstrip(".") or "body", f"expected an object, got {kind(value)}")
    known = {name: _whole(item) if name in _COUNTS else item for name, item in value.items() if name in _KNOWN}
    for name in _BESIDE:
        if name in known:
            known[name] = finite(known[name])
    extra = finite({name: item for name, item in value.items() if name not in _KNOWN})
    not_finite: tuple[str, ...] = ()
    if known.get("metrics") is not None:
        known["metrics"], not_finite = numbers(known["metrics"], field=f"{where}metrics")
    if isinstance(known.get("progress"), float) and not math.isfinite(known["progress"]):
        raise wrong(f"{where}progress", "expected a number from 0 to 100")
    try:
        reading = msgspec.convert(known, Reading)
    except msgspec.ValidationError as error:
        raise _named(error, where) from error
    return Beat(reading, (_beside(reading) or {}) | extra or None, not_finite or _names(reading))


def numbers(value: Any, *, field: str) -> tuple[dict[str, float | None], tuple[str, ...]]:
    """Returns metrics with null for what is no finite number, and the names of those that were NaN or infinite."""
    if not isinstance(value, dict):
        raise wrong(field, f"expected an object of numbers, got {kind(value)}")
    clean: dict[str, float | None] = {}
    not_finite = []
    for name, item in value.items():
        if item is None:
            clean[name] = None
        elif isinstance(item, str) and item.strip().lower() in _NOT_FINITE_WORDS:
            clean[name] = None
            not_finite.append(name)
        elif isinstance(item, bool) or not isinstance(item, int | float):
            raise wrong(f"{field}.{name}", f"expected a number or null, got {kind(item)}")
        else:
            number = _as_float(item)
            clean[name] = number
            if number is None:
                not_finite.append(name)
    return clean, tuple(not_finite)


def read_json(body: bytes) -> Any:
    """Returns the value of a JSON body, the NaN and Infinity of Python's own encoder understood.

    Raises:
        Invalid: it is no JSON, nested too deeply, or holds half a surrogate pair, which no database stores.
    """
    try:
        value = json.loads(body.decode())  # strictly: bytes alone would let half a surrogate pair pass
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise wrong("body", "nested too deeply") from error
    except UnicodeEncodeError as error:
        raise wrong("body", "a text holds half a surrogate pair") from error
    except ValueError as error:
        raise wrong("body", f"not valid JSON: {error}") from error
    return value


def read_object(body: bytes) -> dict[str, Any]:
    """Returns the object of a JSON body; raises Invalid where it is anything else."""
    value = read_json(body)
    if not isinstance(value, dict):
        raise wrong("body", f"expected an object, got {kind(value)}")
    return value


def finite(value: Any) -> Any:
    """Returns parsed JSON with null in place of every NaN and infinity: neither is JSON, and no database takes them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value


def kind(value: Any) -> str:
    """Returns JSON's own word for the type of a parsed value."""
    if value is None:
        return "null"
    words = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return words.get(type(value), type(value).__name__)


def wrong(field: str, message: str) -> Invalid:
    """Returns the 422 that names a field."""
    return Invalid(
        f"{field}: {message}",
        cure="send the body as the trainer contract describes it",
        errors=[{"field": field, "message": message}],
    )


def _beside(reading: Reading) -> dict[str, Any] | None:
    if reading.timestamp is None and reading.extra_data is None:
        return None
    told = {"timestamp": reading.timestamp, "extra_data": reading.extra_data}
    return {name: value for name, value in told.items() if value is not None}


def _names(reading: Reading) -> tuple[str, ...]:
    told = reading.non_finite
    return tuple(name for name in told if isinstance(name, str)) if isinstance(told, list) else ()


def _as_float(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _named(error: msgspec.ValidationError, where: str) -> Invalid:
    # "Expected `int`, got `str` - at `$.epoch`", or "Object missing required field `x`".
    text, _, path = str(error).partition(" - at `$.")
    if "missing required field" in text:
        return wrong(f"{where}{text.split('`')[1]}", "required")
    return wrong(f"{where}{path.rstrip('`')}", text[0].lower() + text[1:].replace("`", ""))
