"""Finds a built manifest's parts by name: a step's template, its variables, the keys it reads from the Secret."""

from __future__ import annotations

from typing import Any


def template(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in manifest["spec"]["templates"] if item["name"] == name)


def variables(manifest: dict[str, Any], name: str = "train") -> dict[str, str]:
    return {item["name"]: item["value"] for item in template(manifest, name)["container"]["env"] if "value" in item}


def secret_keys(manifest: dict[str, Any], name: str = "train") -> dict[str, dict[str, Any]]:
    env = template(manifest, name)["container"]["env"]
    return {item["name"]: item["valueFrom"]["secretKeyRef"] for item in env if "valueFrom" in item}
