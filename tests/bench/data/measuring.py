"""Measures child processes: wall time, CPU seconds and peak memory, from the kernel's own accounts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

REPO = Path(__file__).resolve().parents[3]
STEPS = REPO / ".venvs/steps/bin/python"
ULTRALYTICS = REPO / ".venvs/ultralytics/bin/python"


# The kernel counts what a process was before it became the command: it is started from a small one.
LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
child.returncode = code = os.waitstatus_to_exitcode(status)
took = [code, time.perf_counter() - began, usage.ru_utime, usage.ru_stime, usage.ru_maxrss]
with open(sys.argv[1], "w") as account:
    json.dump(took, account)
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command went; memory is the largest of its processes, MB."""

    wall: float
    user: float
    system: float
    memory: float
    out: str

    @property
    def cpu(self) -> float:
        return self.user + self.system


def measure(command: Sequence[object], *, env: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)) -> Ran:
    """Runs a command and gives what it took; ends the benchmark with its last words if it fails."""
    with tempfile.NamedTemporaryFile("r") as account, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", LAUNCHER, account.name, *(str(word) for word in command)],
            stdout=out,
            stderr=err,
            cwd=REPO,
            env=os.environ | {"PYTHONPATH": str(REPO)} | (env or {}),
            check=True,
        )
        code, wall, user, system, memory = json.load(account)
        out.seek(0)
        text = out.read().decode(errors="replace")
        if code not in codes:
            err.seek(0)
            words = (text + err.read().decode(errors="replace"))[-3000:]
            raise SystemExit(f"{' '.join(map(str, command))[:300]}\nexit {code}\n{words}")
    return Ran(wall, user, system, memory / 1000, text)


def steps_python() -> Path:
    """Gives the interpreter of the light steps; where it does not stand, this one."""
    return STEPS if STEPS.exists() else Path(sys.executable)


@contextmanager
def scratch() -> Iterator[Path]:
    """Gives a folder that lives as long as the block.

    ext4 makes files ten times slower right after many were deleted, so nothing is deleted before the block ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="tiphys-bench-"))
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table, numbers to the right."""
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [list(head), *cells]) for column in range(len(head))]
    print(f"\n{title}")
    for row in [list(head), *cells]:
        first, *rest = (cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths)))  # noqa: B905
        print("  ".join([first, *rest]).rstrip())
    sys.stdout.flush()


def verdict(value: float, goal: float, *, least: bool = False) -> str:
    """Says whether a goal is met."""
    return "met" if (value >= goal if least else value <= goal) else "MISSED"


def _text(cell: object) -> str:
    if isinstance(cell, float):
        return f"{cell:,.2f}" if abs(cell) < 100 else f"{cell:,.0f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
