"""What this machine has to give, and which waiting pod gets it next."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workflows.local.quantities import quantity

GPU = "nvidia.com/gpu"


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The slots of a machine: cores, and the indices of its GPUs."""

    cpus: float
    gpus: tuple[str, ...] = ()

    @classmethod
    def detect(cls, *, gpus: str | None = None) -> Capacity:
        """Looks at this machine; `gpus` overrules what is found: `none`, or indices such as `0,1`."""
        return cls(cpus=float(_cores()), gpus=_gpus(gpus))


@dataclass(frozen=True, kw_only=True)
class Request:
    """What one pod asks for."""

    cpu: float
    gpus: int

    @classmethod
    def of(cls, resources: Mapping[str, Any]) -> Request:
        """Reads a container's `resources`; a limit stands in for a request that is not there."""
        asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        return cls(cpu=quantity(asked.get("cpu", 0)), gpus=int(quantity(asked.get(GPU, 0))))

    def clamped(self, capacity: Capacity) -> tuple[Request, str]:
        """Returns what the whole machine can give of it, and a sentence where that is less."""
        notes: list[str] = []
        cpu, gpus = min(self.cpu, capacity.cpus), min(self.gpus, len(capacity.gpus))
        if self.gpus and not capacity.gpus:
            notes.append("no GPU on this machine: runs on the CPU")
        elif gpus < self.gpus:
            notes.append(f"asks for {self.gpus} GPUs, this machine has {gpus}: runs with {gpus}")
        if cpu < self.cpu:
            notes.append(f"asks for {self.cpu:g} CPUs, this machine has {cpu:g}: runs with {cpu:g}")
        return Request(cpu=cpu, gpus=gpus), "; ".join(notes)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What a waiting pod gets: GPU indices, or the message that says what it waits for."""

    gpus: tuple[str, ...] = ()
    message: str | None = None


def place(
    waiting: Sequence[Request], held: Iterable[tuple[float, Sequence[str]]], capacity: Capacity
) -> list[Placement]:
    """Gives free slots to waiting pods, first come first served for each kind of slot.

    Who waits for cores lets nobody else have any; who waits for a GPU lets those pass that need none, so that the next
    job's data can be fetched while a training has the GPU.
    """
    taken = list(held)
    cpu = capacity.cpus - sum(cores for cores, _ in taken)
    gpus = [gpu for gpu in capacity.gpus if all(gpu not in given for _, given in taken)]
    placements: list[Placement] = []
    for request in waiting:
        lacking = ["cpu"] if request.cpu > cpu + 1e-9 else []
        lacking += [GPU] if request.gpus > len(gpus) else []
        if lacking:
            why = ", ".join(f"1 Insufficient {name}" for name in lacking)
            placements.append(Placement(message=f"Unschedulable: 0/1 nodes are available: {why}."))
            if GPU in lacking:
                gpus = []
            else:
                cpu = 0.0
                gpus = gpus[request.gpus :]
            continue
        placements.append(Placement(gpus=tuple(gpus[: request.gpus])))
        cpu -= request.cpu
        gpus = gpus[request.gpus :]
    return placements


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        return os.cpu_count() or 1


def _gpus(setting: str | None) -> tuple[str, ...]:
    if setting is not None and setting.strip():
        text = setting.strip().lower()
        return () if text == "none" else tuple(part.strip() for part in text.split(",") if part.strip())
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):  # a driver that does not answer gives no GPU
        return ()
    found = (line.split(":")[0].removeprefix("GPU ") for line in listed.stdout.splitlines() if line.startswith("GPU "))
    return tuple(index.strip() for index in found)
