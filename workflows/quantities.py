"""Durations and amounts of memory as people write them, kept as written and readable as numbers."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(Ki|Mi|Gi|Ti|k|M|G|T)", re.ASCII)
_MILLICORES = re.compile(r"(\d+)m", re.ASCII)
_BYTES = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
}  # fmt: skip


class _Written(str):
    """A text with a meaning: validated when made, serialised as it was written."""

    __slots__ = ()
    json_pattern: ClassVar[str] = ""
    examples: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parse(cls, value: Any) -> Self:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": cls.json_pattern, "examples": list(cls.examples)}


class Duration(_Written):
    """A length of time: days, hours, minutes and seconds in this order, e.g. `12h`, `1h30m`, `90s`."""

    __slots__ = ()
    json_pattern = r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$"
    examples = ("12h", "1h30m", "90s")

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Returns the duration written in `value`; raises a validation error with its cure otherwise."""
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            raise _refused("a bare number has no unit", f"write {value}s, {value}m or {value}h")
        if not isinstance(value, str):
            raise _refused(f"{value!r} is not a duration", "write for example 12h, 30m or 90s")
        text = value.strip()
        if not text or not _DURATION.fullmatch(text):
            raise _refused(
                f"{value!r} is not a duration", "write for example 12h, 1h30m or 90s: d, h, m and s in this order"
            )
        duration = cls(text)
        if duration.seconds == 0:
            raise _refused("it is no time at all", "write for example 12h, 30m or 90s")
        return duration

    @property
    def seconds(self) -> int:
        """The length in seconds."""
        match = _DURATION.fullmatch(self)
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


class Memory(_Written):
    """An amount of memory or disk in Kubernetes' units, e.g. `8Gi`, `512Mi`, `1.5Gi`."""

    __slots__ = ()
    json_pattern = r"^\d+(\.\d+)?(Ki|Mi|Gi|Ti|k|M|G|T)$"
    examples = ("8Gi", "512Mi")

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Returns the amount written in `value`; raises a validation error with its cure otherwise."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise _refused("a bare number has no unit", f"write {value}Gi or {value}Mi")
        if not isinstance(value, str):
            raise _refused(f"{value!r} is not an amount of memory", "write for example 8Gi or 512Mi")
        text = value.strip()
        if not _MEMORY.fullmatch(text):
            raise _refused(f"{value!r} is not an amount of memory", f"write {_meant(text)}")
        memory = cls(text)
        if memory.bytes == 0:
            raise _refused("it is no memory at all", "write for example 8Gi or 512Mi")
        return memory

    @property
    def bytes(self) -> int:
        """The amount in bytes, rounded down."""
        match = _MEMORY.fullmatch(self)
        if match is None:
            return 0
        whole, _, part = match[1].partition(".")
        # In integers: a float would lose bytes above 2**53, and equal amounts would compare unequal.
        scale: int = 10 ** len(part)
        return int(whole + part) * _BYTES[match[2]] // scale


def parse_cpu(value: Any) -> int | float:
    """Returns a number of CPU cores from 2, 0.5 or `500m`; whole numbers come back as int."""
    cores: int | float
    if isinstance(value, str) and (millicores := _MILLICORES.fullmatch(value.strip())):
        cores = int(millicores[1]) / 1000
    elif isinstance(value, int | float) and not isinstance(value, bool):
        cores = value
    else:
        raise _refused(f"{value!r} is not a number of cores", "write for example 2, 0.5 or 500m")
    if not 0.001 <= cores <= 1024:
        raise _refused(f"{value} cores cannot be had", "ask for between 0.001 (1m) and 1024 cores")
    cores = round(cores, 3)
    return int(cores) if cores == int(cores) else cores


def cpu_quantity(cores: int | float) -> str:
    """Returns cores as Kubernetes writes them: whole cores as they are, parts in thousandths."""
    return str(cores) if isinstance(cores, int) else f"{round(cores * 1000)}m"


def _meant(text: str) -> str:
    match = re.match(r"(\d+(?:\.\d+)?)\s*([KMGT])", text, re.ASCII | re.IGNORECASE)
    return f"{match[1]}{match[2].upper()}i" if match else "for example 8Gi or 512Mi"


def _refused(message: str, cure: str) -> PydanticCustomError:
    # Braces would be read as placeholders of the error's template: message and cure travel in the context.
    return PydanticCustomError("told", "{message}", {"message": message, "cure": cure})
