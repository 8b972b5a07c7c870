"""Reads single values of an annotation document without trusting their types."""

from typing import Any

NO_BOX = (float("nan"),) * 4
LARGEST = 2**62


def is_text(text: str) -> bool:
    """Whether a text can be written anywhere: half a surrogate pair, as JSON can name one, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_id(value: Any) -> int | None:
    """Gives a whole number, also from "7" or 7.0; None where it is none."""
    if type(value) is int:
        return value if -LARGEST < value < LARGEST else None
    if isinstance(value, float) and value.is_integer():
        return as_id(int(value))
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return as_id(int(value)) if len(value) < 19 else None
    return None


def as_list(value: Any) -> list[Any] | None:
    """Gives the value if it is a list."""
    return value if isinstance(value, list) else None


def as_object(value: Any) -> dict[str, Any]:
    """Gives the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_box(value: Any) -> tuple[float, float, float, float] | None:
    """Gives four numbers; NaNs where there is no box, None where it is malformed."""
    if value is None or value == []:
        return NO_BOX
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(map(is_number, value)):
        return None
    x, y, width, height = map(finite, value)
    return x, y, width, height


def is_number(value: Any) -> bool:
    """Whether the value is a number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def finite(number: float) -> float:
    """Gives a number that floats can hold; infinity for what they cannot, and for NaN."""
    # A number that is itself NaN must not look like an absent box: infinity is told as not finite too.
    return float(number) if -1e300 < number < 1e300 else float("inf")
