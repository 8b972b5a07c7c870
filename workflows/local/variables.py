"""`{{…}}` variables: finding them in a template and putting values in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


def tags(value: Any) -> Iterator[str]:
    """Yields the name of every variable in the texts of a nested value."""
    if isinstance(value, str):
        yield from (match[1].strip() for match in _TAG.finditer(value))
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from tags(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from tags(inner)


def substitute(value: Any, scope: Mapping[str, str]) -> Any:
    """Returns a copy of a nested value with every variable replaced; a name missing from `scope` stays as it is."""
    if isinstance(value, str):
        return _TAG.sub(lambda match: scope.get(match[1].strip(), match[0]), value)
    if isinstance(value, Mapping):
        return {key: substitute(inner, scope) for key, inner in value.items()}
    if isinstance(value, list):
        return [substitute(inner, scope) for inner in value]
    return value
