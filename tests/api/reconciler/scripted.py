"""An engine that does what a test says: workflows in memory, in Argo's shape, with faults on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from workflows.engine import LOG_CHUNK_BYTES, EngineRefused, EngineUnavailable

STEPS = ("download", "convert", "train", "upload", "report")


class ScriptedEngine:
    """Implements `workflows.engine.Engine`; `advance` and `end` play the part of the controller."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.place = "local"
        self.workflows: dict[str, dict[str, Any]] = {}
        self.created: Counter[str] = Counter()
        self.secrets: dict[str, dict[str, str]] = {}
        self.output: dict[tuple[str, str], bytes] = {}
        self.calls: list[tuple[str, str]] = []
        self.available = True
        self.unheard = True
        self.refuses: str | None = None
        self.deaf = False

    def _call(self, verb: str, name: str) -> None:
        self.calls.append((verb, name))
        if not self.available:
            raise EngineUnavailable("connection refused", untouched=self.unheard)

    def submit(self, manifest: Mapping[str, Any], *, secrets: Mapping[str, str]) -> None:
        name = manifest["metadata"]["name"]
        self._call("submit", name)
        if self.refuses:
            raise EngineRefused(self.refuses)
        if name in self.workflows:
            return
        self.created[name] += 1
        self.secrets[name] = dict(secrets)
        status = {"phase": "Running", "startedAt": self._now(), "nodes": {}}
        self.workflows[name] = {"metadata": {"name": name}, "spec": {}, "status": status}

    def get(self, name: str) -> dict[str, Any] | None:
        self._call("get", name)
        found = self.workflows.get(name)
        return None if found is None else {key: _copy(value) for key, value in found.items()}

    def names(self, *, live: bool = False) -> list[str]:
        self._call("names", "")
        ended = ("Succeeded", "Failed", "Error")
        return [n for n, found in self.workflows.items() if not live or found["status"].get("phase") not in ended]

    def logs(self, name: str, node_id: str, offset: int) -> bytes:
        self._call("logs", name)
        return self.output.get((name, node_id), b"")[offset : offset + LOG_CHUNK_BYTES]

    def stop(self, name: str) -> None:
        self._call("stop", name)
        self._shut(name, "Stop")

    def terminate(self, name: str) -> None:
        self._call("terminate", name)
        self._shut(name, "Terminate")

    def delete(self, name: str) -> None:
        self._call("delete", name)
        self.workflows.pop(name, None)

    # What a controller does.

    def node(self, name: str, step: str, phase: str, *, message: str = "", exit_code: int | None = None) -> None:
        """Sets the node of a step."""
        nodes = self.workflows[name]["status"]["nodes"]
        node = nodes.setdefault(
            f"{name}-{step}",
            {
                "id": f"{name}-{step}",
                "name": f"{name}.{step}",
                "displayName": step,
                "templateName": step,
                "type": "Pod",
            },
        )
        node.setdefault("startedAt", self._now())
        node |= {"phase": phase, "message": message}
        if phase in ("Succeeded", "Failed", "Error"):
            node["finishedAt"] = self._now()
        if exit_code is not None or phase == "Succeeded":
            node["outputs"] = {"exitCode": str(exit_code or 0)}

    def advance(self, name: str) -> None:
        """Starts the next step, or ends the one that runs; after the last the workflow has succeeded."""
        workflow = self.workflows.get(name)
        if workflow is None or workflow["status"]["phase"] != "Running":
            return
        for step in STEPS:
            node = workflow["status"]["nodes"].get(f"{name}-{step}")
            if node is None:
                self.node(name, step, "Running")
                return
            if node["phase"] == "Running":
                self.node(name, step, "Succeeded")
                break
        else:
            step = STEPS[-1]
        if step == STEPS[-1]:
            self.end(name, "Succeeded")

    def until(self, name: str, step: str) -> None:
        """Advances until a step runs."""
        while (self.workflows[name]["status"]["nodes"].get(f"{name}-{step}") or {}).get("phase") != "Running":
            self.advance(name)

    def fail(self, name: str, message: str, exit_code: int | None = 1) -> None:
        """Lets the step that runs fail, and the workflow with it."""
        status = self.workflows[name]["status"]
        running = [node for node in status["nodes"].values() if node["phase"] == "Running"]
        if not running:
            self.advance(name)
            running = [node for node in status["nodes"].values() if node["phase"] == "Running"]
        for node in running:
            self.node(name, node["templateName"], "Failed", message=message, exit_code=exit_code)
        self.end(name, "Failed")

    def end(self, name: str, phase: str, message: str = "") -> None:
        """Ends a workflow."""
        self.workflows[name]["status"] |= {"phase": phase, "finishedAt": self._now()}
        if message:
            self.workflows[name]["status"]["message"] = message

    def _shut(self, name: str, strategy: str) -> None:
        workflow = self.workflows.get(name)
        if workflow is None or workflow["status"]["phase"] != "Running":
            return
        workflow["spec"]["shutdown"] = strategy
        if self.deaf:
            return
        for node in list(workflow["status"]["nodes"].values()):
            if node["phase"] in ("Running", "Pending"):
                text = f"workflow shutdown with strategy:  {strategy}"
                self.node(name, node["templateName"], "Failed", message=text)
        self.end(name, "Failed", f"Stopped with strategy '{strategy}'")

    def _now(self) -> str:
        return self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return value


def tiny_manifest(name: str) -> dict[str, Any]:
    """Returns the least that an engine needs to know a workflow by."""
    return {"metadata": {"name": name}, "spec": {"entrypoint": "main", "templates": []}}
