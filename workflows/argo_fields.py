"""Compares a manifest with Argo's own field definitions, which Hera carries: what is not in them is a typo."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import Any

from pydantic import BaseModel, RootModel

_KINDS: Mapping[type, str] = types.MappingProxyType(
    {str: "text", int: "a whole number", bool: "true or false", float: "a number", dict: "a mapping", list: "a list"}
)


def faults(model: type[BaseModel], value: Any, path: str = "") -> Iterator[str]:
    """Yields one sentence for every field of `value` that `model` does not have or whose type is another."""
    if not isinstance(value, Mapping):
        yield f"{path or 'manifest'}: {_shown(value)} is not a mapping"
        return
    fields = _fields(model)
    for key, item in value.items():
        where = f"{path}.{key}" if path else str(key)
        if key in fields:
            yield from _check(fields[key][0], item, where)
        else:
            matches = get_close_matches(str(key), fields, n=1)
            hint = f"; did you mean {matches[0]}?" if matches else ""
            yield f"{where}: {model.__name__} has no such field{hint}"
    for key, (_, required) in fields.items():
        if required and key not in value:
            yield f"{path}.{key}: it is missing".lstrip(".")


@cache
def _fields(model: type[BaseModel]) -> dict[str, tuple[Any, bool]]:
    return {info.alias or name: (info.annotation, info.is_required()) for name, info in model.model_fields.items()}


def _check(annotation: Any, value: Any, path: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _check(arguments[0], value, path)
    elif origin in (typing.Union, types.UnionType):
        yield from _any_of(arguments, value, path)
    elif origin is list:
        yield from _items(arguments, value, path)
    elif origin is dict:
        yield from _entries(arguments, value, path)
    elif isinstance(annotation, type):
        yield from _plain(annotation, value, path)


def _any_of(members: tuple[Any, ...], value: Any, path: str) -> Iterator[str]:
    wanted = [member for member in members if member is not type(None)]
    if value is None and len(wanted) < len(members):
        return
    found = [list(_check(member, value, path)) for member in wanted]
    if all(found):
        yield from min(found, key=len)


def _items(arguments: tuple[Any, ...], value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: {_shown(value)} is not a list"
        return
    for n, item in enumerate(value):
        label = item["name"] if isinstance(item, Mapping) and isinstance(item.get("name"), str) else n
        yield from _check(arguments[0], item, f"{path}[{label}]")


def _entries(arguments: tuple[Any, ...], value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: {_shown(value)} is not a mapping"
        return
    for key, item in value.items():
        if isinstance(key, str):
            yield from _check(arguments[1], item, f"{path}.{key}")
        else:
            yield f"{path}: its key {_shown(key)} is not text"


def _plain(annotation: type, value: Any, path: str) -> Iterator[str]:
    if issubclass(annotation, RootModel):
        yield from _check(annotation.model_fields["root"].annotation, value, path)
    elif issubclass(annotation, BaseModel):
        yield from faults(annotation, value, path)
    elif issubclass(annotation, Enum):
        allowed = [member.value for member in annotation]
        if value not in allowed:
            yield f"{path}: {_shown(value)} is none of {', '.join(map(str, allowed))}"
    elif annotation in _KINDS:
        # bool is an int in Python and nowhere else.
        right = isinstance(value, annotation) and (annotation is bool or not isinstance(value, bool))
        if not right and not (annotation is float and type(value) is int):
            yield f"{path}: {_shown(value)} is not {_KINDS[annotation]}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
