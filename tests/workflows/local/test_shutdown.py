"""Stop, terminate, deaf trainers, and requests from another process."""

from __future__ import annotations

import json
from typing import Any

import pytest

SAVES = "trap 'echo saved > \"$WORK_DIR/last\"; exit 143' TERM; echo up; while true; do sleep 0.02; done"
DEAF = "trap '' TERM; echo up; while true; do sleep 0.02; done"


def training(engine: Any, make: Any, name: str = "job") -> dict[str, Any]:
    """Waits until the trainer has said something."""

    def up() -> Any:
        nodes = (engine.get(name).get("status") or {}).get("nodes", {}).values()
        fitting = [node for node in nodes if node["displayName"] in {"train(0)", "a"} and node["phase"] == "Running"]
        return engine.get(name) if fitting and engine.logs(name, fitting[0]["id"], 0) else None

    return make.until(engine, up)


def impatient(manifest: dict[str, Any], seconds: int = 1) -> dict[str, Any]:
    manifest["spec"]["podSpecPatch"] = json.dumps({"terminationGracePeriodSeconds": seconds})
    return manifest


def test_stop_saves_then_reports(house: Any, make: Any) -> None:
    engine, other = house.engine(), house.engine()
    manifest = make.pipeline("job", train=SAVES, on_exit='cat "$WORK_DIR/last"; echo {{workflow.status}}')
    engine.submit(manifest, secrets={})
    training(engine, make)
    other.stop("job")  # as the API does, from where nothing steps
    make.until(engine, lambda: make.finished(engine.get("job")))
    found = engine.get("job")
    last, retry, root = (make.node(found, name) for name in ("train(0)", "train", "job"))
    assert (last["phase"], last["message"]) == ("Failed", "workflow shutdown with strategy:  Stop")
    assert last["outputs"]["exitCode"] == "143"
    assert (retry["phase"], retry["message"]) == ("Failed", "Stopped with strategy 'Stop'")
    assert "outputs" not in retry
    assert root["phase"] == "Failed"
    assert "outboundNodes" not in root
    assert {node["displayName"] for node in found["status"]["nodes"].values()} == {
        "job", "fetch", "convert", "train", "train(0)", "job.onExit",
    }  # fmt: skip
    assert (found["status"]["phase"], found["status"]["message"]) == ("Failed", "Stopped with strategy 'Stop'")
    # What the trainer saved is there for the exit handler: it begins only when the trainer has ended.
    assert engine.logs("job", make.node(found, "job.onExit")["id"], 0) == b"saved\nFailed\n"


def test_terminate_runs_no_exit_handler(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.pipeline("job", train=SAVES), secrets={})
    training(engine, make)
    engine.terminate("job")
    make.until(engine, lambda: make.finished(engine.get("job")))
    found = engine.get("job")
    assert make.node(found, "train(0)")["message"] == "workflow shutdown with strategy:  Terminate"
    assert found["status"]["message"] == "Stopped with strategy 'Terminate'"
    assert "job.onExit" not in str(found["status"]["nodes"])
    assert found["metadata"]["labels"]["workflows.argoproj.io/completed"] == "true"


def test_trainer_that_exits_0_when_stopped_is_stopped_still(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.pipeline("job", train=SAVES.replace("143", "0")), secrets={})
    training(engine, make)
    engine.stop("job")
    make.until(engine, lambda: make.finished(engine.get("job")))
    node = make.node(engine.get("job"), "train(0)")
    assert (node["phase"], node["outputs"]["exitCode"]) == ("Failed", "0")


def test_deaf_trainer_is_killed_after_its_grace(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(impatient(make.pipeline("job", train=DEAF)), secrets={})
    training(engine, make)
    engine.stop("job")
    make.until(engine, lambda: make.finished(engine.get("job")))
    found = engine.get("job")
    assert make.node(found, "train(0)")["outputs"]["exitCode"] == "137"
    assert make.node(found, "job.onExit")["phase"] == "Succeeded"


@pytest.mark.parametrize("first", ["stop", "terminate"])
def test_asked_again_there_is_no_more_grace(house: Any, make: Any, first: str) -> None:
    engine = house.engine()
    engine.submit(impatient(make.pipeline("job", train=DEAF), seconds=3600), secrets={})
    training(engine, make)
    getattr(engine, first)("job")
    make.until(engine, lambda: "workflow shutdown" in str(engine.get("job")["status"]))
    assert not make.finished(engine.get("job"))
    engine.terminate("job")
    make.until(engine, lambda: make.finished(engine.get("job")))
    assert make.node(engine.get("job"), "train(0)")["outputs"]["exitCode"] == "137"


def test_stop_between_steps_and_before_the_first(house: Any, make: Any) -> None:
    engine = house.engine(cpus=1)
    engine.submit(make.pipeline("job"), secrets={})
    engine.stop("job")
    make.until(engine, lambda: make.finished(engine.get("job")))
    found = engine.get("job")
    assert make.node(found, "fetch")["message"] == "workflow shutdown with strategy: Stop"
    assert make.node(found, "report")["phase"] == "Omitted"
    assert make.node(found, "job.onExit")["phase"] == "Succeeded"
    assert found["status"]["message"] == "Stopped with strategy 'Stop'"


def test_stop_after_the_end_changes_nothing(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.single("job", "true"), secrets={})
    make.until(engine, lambda: make.finished(engine.get("job")))
    before = engine.get("job")
    for verb in ("stop", "terminate"):
        getattr(engine, verb)("job")
        getattr(engine, verb)("no-such-workflow")
        engine.step()
    assert engine.get("job") == before


def test_delete_ends_what_runs_and_removes_all(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.pipeline("job", train=SAVES), secrets={"TOKEN": "t"})
    training(engine, make)
    engine.delete("job")
    assert engine.get("job") is None
    assert engine.names() == []
    make.until(engine, lambda: not house.folder("job").exists())
    engine.delete("job")
    assert not engine.step()


def test_pending_pod_meets_the_workflow_deadline(house: Any, make: Any, clock: Any) -> None:
    engine = house.engine(cpus=1, clock=clock)
    container = {"resources": {"requests": {"cpu": "1"}}}
    engine.submit(make.single("holder", SAVES, container=container), secrets={})
    training(engine, make, "holder")
    waiting = make.single("job", "true", container=container)
    waiting["spec"]["activeDeadlineSeconds"] = 60
    engine.submit(waiting, secrets={})
    engine.step()
    assert "1 Insufficient cpu" in make.node(engine.get("job"), "a")["message"]
    clock.now += 61
    engine.step()
    found = engine.get("job")
    assert make.node(found, "a")["message"] == "Step exceeded its deadline"
    assert found["status"]["phase"] == "Failed"
