"""Checks one value against one property of a JSON Schema, and says what is wrong in plain words."""

from __future__ import annotations

import math
from typing import Any

from workflows.frameworks.shapes import Schema
from workflows.problems import near
from workflows.split import yes_or_no

_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


def kindly(schema: Schema, value: Any) -> Any:
    """Returns `value` as the schema means it where that is beyond doubt: `no` is false where only a boolean fits."""
    types = _types(schema)
    return yes_or_no(value) if "boolean" in types and "string" not in types else value


def fault(schema: Schema, value: Any) -> tuple[str, str] | None:
    """Returns what is wrong with a value and the cure, or None where nothing is."""
    types = _types(schema)
    if types and not any(_is(kind, value) for kind in types):
        wanted = " or ".join(_WORDS[kind] for kind in types)
        if isinstance(value, str) and {"integer", "number"} & set(types) and _numeric(value):
            return f"{value!r} is text, not a number", f"write {value.strip()} without quotes"
        return f"{value!r} is not {wanted}", f"give {wanted}"
    choices = schema.get("enum")
    if choices and value not in choices:
        matches = near(str(value), choices, most=1)
        listed = ", ".join(map(str, choices))
        return f"{value!r} is not one of its values", (
            f"did you mean {matches[0]}? " if matches else ""
        ) + f"use one of: {listed}"
    return None if isinstance(value, bool) or not isinstance(value, int | float) else _bounds(schema, value)


def _bounds(schema: Schema, value: float) -> tuple[str, str] | None:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return f"{value} is out of range", f"give more than {_plain(schema['exclusiveMinimum'])}"
    if (low is not None and value < low) or (high is not None and value > high):
        words = [f"at least {_plain(low)}"] if low is not None else []
        words += [f"at most {_plain(high)}"] if high is not None else []
        return f"{value} is out of range", f"give {' and '.join(words)}"
    step = schema.get("multipleOf")
    if step and value % step:
        below = int(value // step * step)
        return f"{value} is no multiple of {step}", f"give {below} or {below + step}"
    return None


def _plain(bound: float) -> float:
    return int(bound) if float(bound).is_integer() else bound


def _types(schema: Schema) -> list[str]:
    types = schema.get("type", [])
    return [types] if isinstance(types, str) else list(types)


def _is(kind: str, value: Any) -> bool:
    if kind == "null" or value is None:
        return kind == "null" and value is None
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer":
        return isinstance(value, int)
    if kind == "number":
        return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, {"string": str, "array": list, "object": dict, "boolean": bool}[kind])


def _numeric(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
