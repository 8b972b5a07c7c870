"""Kubernetes resource quantities and Argo durations, read as numbers."""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII)
_SUFFIX = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)", re.ASCII)
_UNIT = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def quantity(value: str | int | float) -> float:
    """Returns the number behind `500m`, `2`, `1Gi` or `1e3`; raises ValueError for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a resource quantity such as 2, 500m or 1Gi")
    return float(match[1]) * (10 ** int(match[2]) if match[2] else _SUFFIX.get(match[3] or "", 1))


def duration(value: str | int) -> float:
    """Returns the seconds behind `30s`, `2m`, `1h30m` or a bare number; raises ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return float(value)
    text = value.strip() if isinstance(value, str) else ""
    if text.isascii() and text.isdigit():
        return float(text)
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{value!r} is not a duration such as 30s, 2m or 1h30m")
    return sum(float(amount) * _UNIT[unit] for amount, unit in _DURATION.findall(text))


def spoken(seconds: float) -> str:
    """Writes a length of time as the controller's messages do, e.g. `1 minute 30 seconds`."""
    rest = int(seconds)
    parts: list[str] = []
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount} {unit}{'' if amount == 1 else 's'}")
    return " ".join(parts[:2]) or "0 seconds"
