"""Prints what Tiphys costs at rest: memory of `tiphys up`, time of `tiphys --help`, next to their floors."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

TIPHYS = Path(sys.executable).with_name("tiphys")
HELP_GOAL = 0.3
MEMORY_GOAL = 180.0
RUNS = 9


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def best_of(command: list[str]) -> float:
    """The median of several runs, seconds."""
    seconds(command)
    return sorted(seconds(command) for _ in range(RUNS))[RUNS // 2]


def family_memory(pid: int) -> dict[str, float]:
    """Unique memory plus an equal share of what is shared, MB, by process."""
    found = {}
    parent = psutil.Process(pid)
    for process in [parent, *parent.children(recursive=True)]:
        info = process.memory_full_info()
        found[" ".join(process.cmdline()[1:4])] = getattr(info, "pss", info.rss) / 1e6
    return found


def imports_memory() -> float:
    """Memory of one bare process that imports the same four libraries, MB."""
    code = (
        "import hera.workflows, fastapi, sqlalchemy, uvicorn, psutil; print(psutil.Process().memory_info().rss / 1e6)"
    )
    return float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def main() -> None:
    ours, floor = best_of([str(TIPHYS), "--help"]), best_of([sys.executable, "-c", "import typer"])
    print(f"tiphys --help     {ours:.3f} s (goal {HELP_GOAL})   import typer {floor:.3f} s   ratio {ours / floor:.2f}")
    with tempfile.TemporaryDirectory() as home:
        subprocess.run([TIPHYS, "--home", home, "up", "-d", "--port", "0"], check=True, capture_output=True)
        try:
            time.sleep(5)  # past start-up, into idling
            address = (Path(home) / "api.json").read_text()
            pid = int(address.split('"pid":')[1].split(",")[0])
            memory = family_memory(pid)
        finally:
            subprocess.run([TIPHYS, "--home", home, "down"], check=True, capture_output=True)
    total, bare = sum(memory.values()), imports_memory()
    for name, value in memory.items():
        print(f"  {value:6.1f} MB  {name}")
    print(f"tiphys up, idle   {total:.0f} MB   goal <= {MEMORY_GOAL:.0f} MB")
    print(f"the same libraries in one process that only imports them {bare:.0f} MB   ratio {total / bare:.2f}")


if __name__ == "__main__":
    main()
