"""Hera workflow → checked manifest → YAML, the same text for the same workflow."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from typing import Any

import yaml
from hera.workflows import Workflow
from hera.workflows import models as m

from workflows.argo_fields import faults
from workflows.manifest_rules import rule_faults


class ManifestError(Exception):
    """A manifest Argo would refuse or misread; carries every fault, each beginning with its path."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(faults)
        self.faults = faults

    def __str__(self) -> str:
        if len(self.faults) == 1:
            return f"this workflow cannot run: {self.faults[0]}"
        lines = [f"this workflow cannot run, for {len(self.faults)} reasons:", *(f"  - {f}" for f in self.faults)]
        return "\n".join(lines)


def build(workflow: Workflow) -> dict[str, Any]:
    """Returns a workflow as the manifest Argo takes; raises ManifestError."""
    # See training_workflow: Hera's build reads a context variable that threads may share.
    manifest: dict[str, Any] = contextvars.Context().run(workflow.to_dict)
    check(manifest)
    return manifest


def check(manifest: Mapping[str, Any]) -> None:
    """Compares a manifest with Argo's field definitions and our rules; raises ManifestError with every fault."""
    # The rules read the fields as what they ought to be, so they wait until they are.
    found = list(faults(m.Workflow, manifest)) or list(rule_faults(manifest))
    if found:
        raise ManifestError(found)


def to_yaml(manifest: Mapping[str, Any]) -> str:
    """Returns a manifest as YAML: names first, then by alphabet, whatever the order of its mappings."""
    return yaml.dump(
        _ordered(manifest), Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120
    )


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: (key != "name", key))}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value


class _Dumper(yaml.SafeDumper):
    """YAML as people lay it out: lists indented below their key, long texts as blocks, no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        # y and n are booleans to some readers of YAML 1.1; SafeDumper quotes yes and no only.
        style = "|" if "\n" in data else "'" if data in {"y", "Y", "n", "N"} else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)
