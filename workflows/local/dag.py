"""The order of a DAG's tasks, and the phase that their phases add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workflows.local.depends import Depends, task_depends
from workflows.local.status import BROKEN, FAILED, OMITTED, RUNNING, SUCCEEDED


@dataclass(frozen=True)
class Graph:
    """A DAG's tasks in an order in which each comes after those it depends on."""

    tasks: list[dict[str, Any]]
    depends: Mapping[str, Depends]
    targets: list[str]
    fail_fast: bool


def graph(template: Mapping[str, Any]) -> Graph:
    """Reads a DAG template; raises ValueError naming tasks that are not there or wait in a circle."""
    tasks = {task["name"]: task for task in template["dag"]["tasks"]}
    depends = {name: task_depends(task) for name, task in tasks.items()}
    for name, wanted in depends.items():
        for other in wanted.tasks:
            if other not in tasks:
                raise ValueError(f"task {name!r} depends on {other!r}, which is not there")
    ordered: list[str] = []
    while len(ordered) < len(tasks):
        ready = [name for name in tasks if name not in ordered and all(dep in ordered for dep in depends[name].tasks)]
        if not ready:
            raise ValueError(f"tasks wait for one another: {', '.join(name for name in tasks if name not in ordered)}")
        ordered.extend(ready)
    waited_for = {name for each in depends.values() for name in each.tasks}
    targets = [name for name in tasks if name not in waited_for]
    return Graph([tasks[name] for name in ordered], depends, targets, template["dag"].get("failFast") is not False)


def ancestors(of: Graph, task: str) -> set[str]:
    """Returns every task that has an end before `task` begins."""
    found: set[str] = set()
    queue = list(of.depends[task].tasks)
    while queue:
        current = queue.pop()
        if current not in found:
            found.add(current)
            queue.extend(of.depends[current].tasks)
    return found


def branch_phases(of: Graph, phases: Mapping[str, str]) -> dict[str, str]:
    """Returns each existing task's phase, an omitted one inheriting that of its parents, failures first."""
    branches: dict[str, str] = {}
    for task in of.tasks:
        name = task["name"]
        phase = phases.get(name)
        if phase is None:
            continue
        if phase == OMITTED:
            inherited = [branches[parent] for parent in of.depends[name].tasks if parent in branches]
            phase = next((parent for parent in inherited if parent in BROKEN), SUCCEEDED)
        branches[name] = phase
    return branches


def broken(of: Graph, phases: Mapping[str, str]) -> bool:
    """Tells whether a task that decides the DAG has failed, so that with failFast nothing new begins."""
    branches = branch_phases(of, phases)
    return any(branches.get(target) in BROKEN for target in of.targets)


def assess(of: Graph, phases: Mapping[str, str], *, unsettled: bool, cut: bool) -> str:
    """Returns the DAG's phase: its targets decide, once nothing that was begun still runs."""
    if unsettled:
        return RUNNING
    if cut:
        return FAILED
    branches = branch_phases(of, phases)
    result = SUCCEEDED
    for target in of.targets:
        phase = branches.get(target)
        if phase is None:
            result = RUNNING
            if not of.fail_fast:
                break
        elif phase in BROKEN:
            result = phase
            if of.fail_fast:
                break
    return result
