"""From a template and its values to what an emissary runs: command, environment, folders and limits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflows.local.images import Environment
from workflows.local.mounts import Mounts
from workflows.local.quantities import quantity

GRACE_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """The values of a pod's secret variables, or the message of what is missing."""

    values: Mapping[str, str]
    missing: str | None = None


def secrets(container: Mapping[str, Any], held: Mapping[str, Mapping[str, str]]) -> Secrets:
    """Looks up every `secretKeyRef` of a container among the secrets held, by name and key."""
    values: dict[str, str] = {}
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if reference is None:
            continue
        name, key = reference["name"], reference["key"]
        if key in held.get(name, {}):
            values[variable["name"]] = held[name][key]
        elif not reference.get("optional"):
            cause = f'secret "{name}" not found' if name not in held else f"couldn't find key {key} in Secret {name}"
            return Secrets(values={}, missing=f"CreateContainerConfigError: {cause}")
    return Secrets(values=values)


def plan(
    template: Mapping[str, Any],
    *,
    environment: Environment,
    mounts: Mounts,
    folder: Path,
    cores: float,
    gpus: Sequence[str],
    gpus_asked: int,
    deadline: float | None,
    grace: float,
) -> dict[str, Any]:
    """Returns the content of pod.json; `template` has its values in place, secrets are not part of it."""
    container = template["container"]
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    variables = {
        item["name"]: str(item.get("value", "")) for item in container.get("env") or [] if "valueFrom" not in item
    }
    declared = {name: mounts.token(value) for name, value in variables.items()}
    own = {
        "PATH": environment.path,
        "PYTHONPATH": environment.pythonpath,
        "PYTHONUNBUFFERED": "1",
        "LANG": "C.UTF-8",
        "HOME": str(folder / "home"),
        "TMP_DIR": str(mounts.folders["/tmp"]),
    }
    executor = {"ARGO_PROGRESS_FILE": str(folder / "progress"), "TERMINATION_LOG": str(folder / "termination-log")}
    merged = {**own, **declared, **executor}
    # Empty where none is granted: a pod that asked for no GPU sees none.
    merged["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    if len(gpus) < gpus_asked:
        merged["DEVICE"] = ",".join(str(index) for index in range(len(gpus))) or "cpu"
    # Asked for with a larger machine in mind: more threads than cores make a training slower by far.
    if (threads := str(merged.get("OMP_NUM_THREADS", ""))).isdigit():
        merged["OMP_NUM_THREADS"] = str(max(1, min(int(threads), math.ceil(cores))))
    directory = container.get("workingDir")
    cwd = mounts.inside(directory) if directory else str(environment.cwd or folder / "home")
    limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    return {
        "command": [mounts.token(word) for word in words],
        "env": merged,
        "cwd": cwd,
        "folders": [str(folder / "home"), *(str(path) for path in mounts.folders.values())],
        "memoryLimit": int(quantity(limit)) if limit is not None else None,
        "deadline": deadline,
        "grace": grace,
    }


def grace_seconds(*patches: str | None) -> float:
    """Returns the termination grace that a `podSpecPatch` sets; the last of several wins."""
    for patch in reversed(patches):
        if patch and "terminationGracePeriodSeconds" in (value := json.loads(patch)):
            return float(value["terminationGracePeriodSeconds"])
    return GRACE_SECONDS
