"""Reads the nodes of Argo's `status`: one small frozen value per node, the same for every engine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ENDED = frozenset({"Succeeded", "Failed", "Error", "Skipped", "Omitted"})
BROKEN = frozenset({"Failed", "Error"})
EXIT_HANDLER = "on-exit"
TITLES = {
    "download": "Download the dataset",
    "convert": "Check and convert the dataset",
    "train": "Train",
    "upload": "Upload checkpoints",
    "report": "Report",
    EXIT_HANDLER: "Report at exit",
}

_TRY = re.compile(r"\((\d+)\)$")
_LEAVES = frozenset({"Pod", "Container"})


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a workflow as its status shows it."""

    id: str
    name: str
    step: str
    """The template's name; `on-exit` for the exit handler."""
    label: str
    """The step's name for people."""
    index: int | None
    """Which try of a retried step this is, from 0; None where the step is not retried."""
    type: str
    phase: str
    message: str
    exit_code: int | None
    started_at: datetime | None
    finished_at: datetime | None
    children: tuple[str, ...]
    progress: str = ""
    """What the process itself wrote of it, as `7/50`."""
    gone: bool = False
    """Whether its pod was taken away though it is told to have succeeded."""

    @property
    def leaf(self) -> bool:
        """Whether it runs a process; the others only group."""
        return self.type in _LEAVES

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    @property
    def broken(self) -> bool:
        return self.phase in BROKEN

    @property
    def started(self) -> bool:
        """Whether its process has run: a node that was stopped while it waited has not."""
        return self.phase in ("Running", "Succeeded") or (self.broken and self.exit_code is not None)

    @property
    def title(self) -> str:
        """The step's name for people, with the number of the try from the second on."""
        return f"{self.label} (try {self.index + 1})" if self.index else self.label


def nodes_of(status: Mapping[str, Any] | None) -> dict[str, Node]:
    """Returns the nodes of a `status` by id, in the order they started."""
    found = [_node(node) for node in ((status or {}).get("nodes") or {}).values()]
    latest = datetime.max.replace(tzinfo=UTC)
    found.sort(key=lambda node: (node.started_at or latest, node.name))
    return {node.id: node for node in found}


def tries_of(nodes: Iterable[Node], step: str) -> list[Node]:
    """Returns the tries of a step that have a process of their own, first try first."""
    return sorted((n for n in nodes if n.leaf and n.step == step), key=lambda n: n.index or 0)


def retry_of(nodes: Iterable[Node], step: str) -> Node | None:
    """Returns the Retry node above a step's tries, if the step is retried."""
    return next((n for n in nodes if n.type == "Retry" and n.step == step), None)


def workflow_ended(status: Mapping[str, Any] | None) -> bool:
    """Tells whether the workflow has come to its end, exit handler included."""
    phase = (status or {}).get("phase")
    return phase in BROKEN or phase == "Succeeded"


def moment(text: Any) -> datetime | None:
    """Returns a time of Argo's (`2026-11-21T13:53:37Z`), or None where it is absent or unreadable."""
    if not isinstance(text, str) or not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _node(raw: Mapping[str, Any]) -> Node:
    name = str(raw.get("name") or raw.get("id") or "")
    task = name.rpartition(".")[2]
    tried = _TRY.search(task)
    task = _TRY.sub("", task)
    shown = _TRY.sub("", str(raw.get("displayName") or ""))
    hooked = bool((raw.get("nodeFlag") or {}).get("hooked")) or task == "onExit"
    step = EXIT_HANDLER if hooked else str(raw.get("templateName") or task)
    code = (raw.get("outputs") or {}).get("exitCode")
    return Node(
        id=str(raw.get("id") or ""),
        name=name,
        step=step,
        # Argo gives the template's name for people to a Retry node some time after its start, and never to its tries.
        label=TITLES.get(step) or shown or step,
        index=int(tried[1]) if tried else None,
        type=str(raw.get("type") or ""),
        phase=str(raw.get("phase") or "Pending"),
        message=str(raw.get("message") or "").strip(),
        exit_code=int(code) if isinstance(code, str | int) and re.fullmatch(r"-?\d+", str(code)) else None,
        started_at=moment(raw.get("startedAt")),
        finished_at=moment(raw.get("finishedAt")),
        children=tuple(raw.get("children") or ()),
        progress=str(raw.get("progress") or ""),
        gone=bool((raw.get("pod") or {}).get("gone")),
    )
