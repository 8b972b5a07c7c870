"""Reads a job's YAML without YAML 1.1's surprises: `no` is a word, `1e-3` a number, `010` is ten."""

from __future__ import annotations

import re
from typing import Any

import yaml

from workflows.problems import Problem, SpecError

LIMIT_CHARACTERS = 256 * 1024
"""The longest job file that is read."""
LIMIT_DEPTH = 32
"""The deepest nesting that is read."""


class _Loader(yaml.SafeLoader):
    """YAML's core schema: what JSON has, and nothing that guesses dates, octals or base-60 numbers."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"{key.value!r} stands here twice: keep one", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_integer(self, node: yaml.ScalarNode) -> int:
        return int(self.construct_scalar(node), 10)


_Loader.yaml_implicit_resolvers = {}  # the class's own: adding would otherwise begin with a copy of YAML 1.1's
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)


def read_job(text: str) -> dict[str, Any]:
    """Returns the mapping a job file holds; raises SpecError naming the line where it is no YAML or no mapping."""
    if len(text) > LIMIT_CHARACTERS:
        raise SpecError([Problem("", "this is too long to be a job", f"keep it under {LIMIT_CHARACTERS // 1024} KiB")])
    try:
        # Before anything is built: deep nesting takes PyYAML minutes, and nested references unfold to gigabytes.
        _check_shape(text)
        value = yaml.load(text, Loader=_Loader)  # a SafeLoader, with fewer types still
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        told = str(error.problem).removeprefix("but ")
        raise SpecError([Problem("", f"this is not a job file: {where}{told}", "correct the YAML there")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SpecError([Problem("", f"this is not a job file: {reason}", "write it as YAML")]) from None
    if not isinstance(value, dict):
        found = "empty" if value is None else f"a {type(value).__name__}"
        cure = "begin with for example 'framework: ultralytics', one field a line"
        raise SpecError([Problem("", f"a job is a mapping of fields, and this is {found}", cure)])
    return value


def _check_shape(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {line}: references (*{event.anchor}) are not read, write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > LIMIT_DEPTH:
            raise ValueError(f"line {line}: it is nested more than {LIMIT_DEPTH} deep")
