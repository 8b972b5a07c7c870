"""An engine over a temporary home, small manifests, and waiting that polls real processes with a deadline."""

from __future__ import annotations

import copy
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workflows.local import Capacity, LocalEngine, LocalImages

RETRY = (
    "lastRetry.exitCode == '75' || lastRetry.exitCode == '143'"
    " || (lastRetry.status == 'Error' && lastRetry.exitCode == '-1')"
)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class House:
    """A home folder and the engines over it."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.images = LocalImages(environments=root / "environments", source=root, cwd=root)
        self.engines: list[LocalEngine] = []

    def engine(self, *, cpus: float = 4, gpus: tuple[str, ...] = ("0",), **more: Any) -> LocalEngine:
        made = LocalEngine(self.home, images=self.images, capacity=Capacity(cpus=cpus, gpus=gpus), **more)
        self.engines.append(made)
        return made

    def folder(self, name: str) -> Path:
        return self.home / "engine" / "workflows" / name

    def pod(self, found: dict[str, Any], display: str) -> Path:
        return self.folder(found["metadata"]["name"]) / "pods" / node(found, display)["id"]


@pytest.fixture
def house() -> Iterator[House]:
    # Not tmp_path: what lies below the pod's /tmp on this machine is part of what is tested.
    root = Path(tempfile.mkdtemp(prefix="tiphys-engine-"))
    made = House(root)
    yield made
    for engine in made.engines:
        for name in engine.names():
            engine.terminate(name)
            engine.terminate(name)
    if made.engines:
        last = made.engines[-1]
        for engine in made.engines[:-1]:
            engine.close()
        until(last, lambda: all(finished(engine_get(last, name)) for name in last.names()), seconds=20)
        last.close()
    shutil.rmtree(root)


def engine_get(engine: LocalEngine, name: str) -> dict[str, Any]:
    found = engine.get(name)
    assert found is not None
    return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


def finished(found: dict[str, Any]) -> bool:
    return "finishedAt" in found.get("status", {})


def node(found: dict[str, Any], display: str) -> dict[str, Any]:
    """The node that is shown under that name."""
    fitting = [each for each in found["status"]["nodes"].values() if each["displayName"] == display]
    assert len(fitting) == 1, (display, sorted(each["name"] for each in found["status"]["nodes"].values()))
    return fitting[0]


def until(engine: LocalEngine, reached: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Steps until something holds; for real processes only."""
    end = time.monotonic() + seconds
    while True:
        engine.step()
        value = reached()
        if value:
            return value
        assert time.monotonic() < end, "waited in vain"
        engine._wake.wait(0.02)


def sh(script: str, **more: Any) -> dict[str, Any]:
    """A container that runs a shell script."""
    return {"image": "any/thing:1", "command": ["sh", "-c"], "args": [script], **more}


def workflow(name: str, templates: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main", "templates": templates, **spec},
    }


def dag(tasks: dict[str, str | None], **more: Any) -> dict[str, Any]:
    listed = [
        {"name": name, "template": name, "arguments": {}} | ({"depends": depends} if depends else {})
        for name, depends in tasks.items()
    ]
    return {"name": "main", "inputs": {}, "outputs": {}, "metadata": {}, "dag": {"tasks": listed, **more}}


def single(name: str, script: str, *, container: dict[str, Any] | None = None, **template: Any) -> dict[str, Any]:
    """A workflow of one step called `a`."""
    return workflow(name, [dag({"a": None}), {"name": "a", "container": sh(script, **(container or {})), **template}])


def pipeline(name: str, **scripts: str) -> dict[str, Any]:
    """The five steps of the recorded traces, faster, with /tmp/out where the pod's /tmp really lies."""
    usual = {
        "fetch": 'echo 12 > "$TMP_DIR/out"; echo 12 > "$WORK_DIR/dataset"',
        "convert": 'cat "$WORK_DIR/dataset" > "$TMP_DIR/out"',
        "train": 'echo 0.5 > "$TMP_DIR/out"; echo best > "$WORK_DIR/best.pt"',
        "upload": 'echo file:///models/best.pt > "$TMP_DIR/out"',
        "report": "true",
        "on_exit": "echo {{workflow.status}}",
    } | scripts
    outputs = {"fetch": "images", "convert": "images", "train": "metric", "upload": "uri"}
    order = ["fetch", "convert", "train", "upload", "report"]
    templates = [dag({step: order[index - 1] if index else None for index, step in enumerate(order)})]
    for key, script in usual.items():
        step = key.replace("_", "-")
        template: dict[str, Any] = {
            "name": step,
            "inputs": {},
            "outputs": {},
            "metadata": {},
            "container": sh(
                script,
                name="",
                imagePullPolicy="IfNotPresent",
                env=[{"name": "WORK_DIR", "value": "/workspace"}],
                resources={"requests": {"cpu": "10m", "memory": "16Mi"}},
                volumeMounts=[{"name": "workspace", "mountPath": "/workspace"}],
            ),
        }
        if step in outputs:
            template["outputs"] = {"parameters": [{"name": outputs[step], "valueFrom": {"path": "/tmp/out"}}]}
        templates.append(template)
    train = templates[3]
    train["outputs"]["parameters"][0]["valueFrom"]["default"] = "null"
    train["container"]["resources"] = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "10m"}}
    train["retryStrategy"] = {
        "backoff": {"duration": "3s", "factor": 2},
        "expression": RETRY,
        "limit": 3,
        "retryPolicy": "Always",
    }
    claim = {"metadata": {"name": "workspace"}, "spec": {"accessModes": ["ReadWriteOnce"]}, "status": {}}
    return workflow(
        name,
        templates,
        arguments={},
        onExit="on-exit",
        serviceAccountName="workflow",
        activeDeadlineSeconds=600,
        volumeClaimTemplates=[claim],
        volumeClaimGC={"strategy": "OnWorkflowCompletion"},
    )


@pytest.fixture
def make() -> Any:
    """The builders of manifests, and what tests do with workflows."""

    class Make:
        pass

    for function in (sh, workflow, dag, single, pipeline, node, until, finished):
        setattr(Make, function.__name__, staticmethod(function))
    Make.copy = staticmethod(copy.deepcopy)  # type: ignore[attr-defined]
    return Make
