"""The shape of `status` as a workflow controller writes it: node ids, nodes, progress, labels and conditions."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

PENDING, RUNNING, SUCCEEDED, FAILED, ERROR = "Pending", "Running", "Succeeded", "Failed", "Error"
OMITTED, SKIPPED = "Omitted", "Skipped"
FINAL = frozenset({SUCCEEDED, FAILED, ERROR, OMITTED, SKIPPED})
BROKEN = frozenset({FAILED, ERROR})

LABEL_PHASE = "workflows.argoproj.io/phase"
LABEL_COMPLETED = "workflows.argoproj.io/completed"
DISPLAY_NAME = "workflows.argoproj.io/display-name"

_PROGRESS = re.compile(r"(\d{1,18})/(\d{1,18})")

Node = dict[str, Any]


def fnv1a32(text: str) -> int:
    """Returns the 32-bit FNV-1a hash by which nodes are told apart."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def node_id(workflow: str, name: str) -> str:
    """Returns the id of the node called `name`; the root node's id is the workflow's own name."""
    return workflow if name == workflow else f"{workflow}-{fnv1a32(name)}"


def pod_name(workflow: str, template: str, name: str) -> str:
    """Returns the name the node's pod carries."""
    return workflow if name == workflow else f"{workflow}-{template}-{fnv1a32(name)}"[:253]


def host_name() -> str:
    """Returns what stands in `hostNodeName`."""
    return socket.gethostname()


def timestamp(seconds: float) -> str:
    """Writes seconds since the epoch as the controller does: whole seconds, UTC, with a Z."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_node(
    workflow: str, name: str, *, kind: str, template: str, phase: str, now: float, boundary: str | None, title: str
) -> Node:
    """Returns a node just begun."""
    node: Node = {
        "id": node_id(workflow, name),
        "name": name,
        "displayName": title,
        "type": kind,
        "templateName": template,
        "templateScope": f"local/{workflow}",
        "phase": phase,
        "startedAt": timestamp(now),
    }
    if boundary is not None:
        node["boundaryID"] = boundary
    if kind != "Skipped":
        node["progress"] = "0/1"
    return node


def outbound(nodes: Mapping[str, Node], node: Node) -> list[str]:
    """Returns the ids that a node depending on `node` hangs below."""
    if node["type"] == "Retry":
        attempts = [
            nodes[child] for child in node.get("children", []) if nodes[child].get("nodeFlag", {}).get("retried")
        ]
        return outbound(nodes, attempts[-1]) if attempts else [node["id"]]
    if node["type"] == "DAG":
        return list(node.get("outboundNodes", []))
    return [node["id"]]


def read_progress(text: str) -> str | None:
    """Returns the last `N/M` line of a progress file, or None where there is no legal one."""
    for line in reversed(text.splitlines()):
        match = _PROGRESS.fullmatch(line.strip())
        if match and 0 <= int(match[1]) <= int(match[2]) and int(match[2]) > 0:
            return f"{int(match[1])}/{int(match[2])}"
    return None


def completed(progress: str) -> str:
    """Returns `M/M` for `N/M`: a node that succeeded is through, whatever it last told."""
    return "/".join([progress.partition("/")[2]] * 2)


def total(progresses: Iterable[str]) -> str:
    """Adds `N/M` texts up."""
    pairs = [progress.split("/") for progress in progresses]
    return f"{sum(int(pair[0]) for pair in pairs)}/{sum(int(pair[1]) for pair in pairs)}"


def below(nodes: Mapping[str, Node], root: Node) -> list[Node]:
    """Returns the Pod nodes reachable through `children`, each once."""
    seen: set[str] = set()
    queue = list(root.get("children", []))
    while queue:
        current = queue.pop()
        if current in seen or current not in nodes:
            continue
        seen.add(current)
        queue.extend(nodes[current].get("children", []))
    return [nodes[found] for found in seen if nodes[found]["type"] == "Pod"]


def conditions(nodes: Mapping[str, Node], *, done: bool) -> list[dict[str, str]]:
    """Returns the two conditions a controller keeps: whether a pod runs, and whether all is over."""
    running = any(node["type"] == "Pod" and node["phase"] == RUNNING for node in nodes.values())
    listed = [{"type": "PodRunning", "status": str(running)}]
    return [*listed, {"type": "Completed", "status": "True"}] if done else listed
