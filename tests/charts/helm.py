"""Helm, where it is installed: renders the chart, and hands on what it says where it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "charts" / "tiphys"
SCENARIOS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))

LEAST = {
    "storage.type": "minio",
    "storage.bucket": "tiphys",
    "storage.endpoint": "http://minio:9000",
    "storage.existingSecret": "storage",
}
"""The least that must be said."""

Manifest = dict[str, Any]


def find() -> str | None:
    """Returns the program: from PATH, or where the shared cluster puts it."""
    home = Path(os.environ.get("CLUSTER_HOME", "~/.cluster")).expanduser() / "bin" / "helm"
    return shutil.which("helm") or (str(home) if os.access(home, os.X_OK) else None)


class Refused(Exception):
    """Helm's own words."""


def helm(*words: str | Path, timeout: float = 60) -> str:
    """Runs helm; returns its output, raises Refused with what it says."""
    program = find()
    assert program is not None
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def sets(values: dict[str, Any]) -> Iterator[str]:
    """Yields values as --set words."""
    for name, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield from ("--set", f"{name}={text}")


def render(
    scenario: str | None = None, values: dict[str, Any] | None = None, *, release: str = "tiphys"
) -> list[Manifest]:
    """Renders a scenario of `ci/`, or the least with these values beside it."""
    words = ["template", release, str(CHART), "--namespace", "training"]
    words += ["-f", str(CHART / "ci" / f"{scenario}-values.yaml")] if scenario else list(sets(LEAST))
    return [m for m in yaml.safe_load_all(helm(*words, *sets(values or {}))) if m]


def only(manifests: list[Manifest], kind: str, ending: str = "") -> Manifest:
    """Returns the one manifest of a kind whose name ends so."""
    (found,) = (m for m in manifests if m["kind"] == kind and m["metadata"]["name"].endswith(ending))
    return found


def pods(manifests: list[Manifest]) -> list[tuple[str, Manifest]]:
    """Returns every pod's spec with the name of what makes it."""
    found = []
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            found.append((name, manifest["spec"]))
        elif "template" in manifest.get("spec", {}):
            found.append((name, manifest["spec"]["template"]["spec"]))
    return found


def containers(pod: Manifest) -> list[Manifest]:
    """Returns a pod's containers, those that only begin included."""
    return [*pod.get("initContainers", []), *pod["containers"]]
