"""From the end of a process to what its node says: phase, message, exit code and output parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflows.local.mounts import Mounts
from workflows.local.status import ERROR, FAILED, SUCCEEDED

MESSAGE_LIMIT = 4096
PARAMETER_LIMIT = 256 << 10
DEADLINE = "Pod was active on the node longer than the specified deadline"
VANISHED = "pod deleted"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a pod ended, in the words of its node."""

    phase: str
    message: str | None
    outputs: dict[str, Any] | None


def outcome(template: Mapping[str, Any], record: Mapping[str, Any], *, mounts: Mounts, folder: Path) -> Outcome:
    """Reads a pod's exit record, termination log and output files."""
    code = int(record["exitCode"])
    parameters, missing = read_parameters(template, mounts=mounts)
    outputs: dict[str, Any] = {"exitCode": str(code)}
    if parameters:
        outputs["parameters"] = parameters
    if record.get("reason") == "deadline":
        return Outcome(phase=FAILED, message=DEADLINE, outputs=outputs)
    if record.get("oomKilled"):
        return Outcome(phase=FAILED, message=f"main: OOMKilled (exit code {code})", outputs=outputs)
    if code != 0:
        text = _termination_log(folder / "termination-log")
        message = f"main: Error (exit code {code})" + (f": {text}" if text else "")
        return Outcome(phase=FAILED, message=message, outputs=outputs)
    if missing is not None:
        cause = f"open /var/run/argo/outputs/parameters{missing}: no such file or directory"
        return Outcome(phase=ERROR, message=f"wait: Error (exit code 64): {cause}", outputs=outputs)
    return Outcome(phase=SUCCEEDED, message=None, outputs=outputs)


def read_parameters(template: Mapping[str, Any], *, mounts: Mounts) -> tuple[list[dict[str, Any]], str | None]:
    """Returns the output parameters with their values, and the path of the first file missing without a default."""
    found: list[dict[str, Any]] = []
    missing: str | None = None
    for parameter in (template.get("outputs") or {}).get("parameters") or []:
        source = parameter["valueFrom"]
        value = _parameter(Path(mounts.inside(source["path"])))
        if value is None:
            value = source.get("default")
        if value is None and missing is None:
            missing = source["path"]
        filled = {"name": parameter["name"], "valueFrom": source}
        found.append(filled if value is None else {**filled, "value": str(value)})
    return found, missing


def _parameter(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(PARAMETER_LIMIT).decode(errors="replace").removesuffix("\n")
    except OSError:
        return None


def _termination_log(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(MESSAGE_LIMIT).decode(errors="replace")
    return ""
