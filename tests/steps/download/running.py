"""Runs a step as the pipeline does: as a process of its own, with the contract's variables and nothing else."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
STEPS_PYTHON = ROOT / ".venvs/steps/bin/python"


def step_python() -> str:
    """Gives the light steps' own interpreter; where only the development environment stands, that one."""
    return str(STEPS_PYTHON) if STEPS_PYTHON.exists() else sys.executable


@dataclass(frozen=True)
class Ran:
    """How a step ended: its exit code, what it told, and the line of cause on its node."""

    code: int
    out: str
    err: str
    cause: str
    work_dir: Path

    def told(self, call: str) -> list[dict[str, Any]]:
        """Gives the bodies of the calls that a dry run printed."""
        mark = f"[DRY-RUN] {call} "
        return [json.loads(line.partition(mark)[2]) for line in self.out.splitlines() if mark in line]

    def event(self, event_type: str) -> dict[str, Any]:
        """Gives the data of the one event of a type."""
        found = [body for body in self.told("event") if body["event_type"] == event_type]
        assert len(found) == 1, self.out + self.err
        return dict(found[0]["data"])

    def output(self, step: str, name: str) -> str:
        """Gives an output parameter."""
        return (self.work_dir / "outputs" / step / name).read_text()


def run_step(
    step: str, work_dir: Path, *arguments: str, python: str | None = None, limit_kib: int | None = None, **env: str
) -> Ran:
    """Runs `python -m steps.{step}` in `work_dir`; `limit_kib` caps the size of a file, as a full disk would."""
    work_dir.mkdir(parents=True, exist_ok=True)
    cause = work_dir / "termination-log"
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "WORK_DIR": str(work_dir),
        "TMP_DIR": str(work_dir),
        "TERMINATION_LOG": str(cause),
        "STORAGE_TYPE": "file",
        **env,
    }
    command = [python or step_python(), "-m", f"steps.{step}", *arguments]
    if limit_kib is not None:
        command = ["bash", "-c", f'ulimit -f {limit_kib}; exec "$@"', "bash", *command]
    ran = subprocess.run(command, env=variables, cwd=work_dir, capture_output=True, text=True, check=False, timeout=120)
    return Ran(ran.returncode, ran.stdout, ran.stderr, cause.read_text() if cause.exists() else "", work_dir)
