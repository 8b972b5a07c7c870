"""What the engine writes, held against what a real controller wrote for the same pipeline."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
RECORDED = HERE.parents[3] / "shared" / "knowledge" / "argo-traces"

SCENARIOS: dict[str, dict[str, str]] = {
    "success": {},
    "train-exit-1": {"train": "echo 'dataset has 0 labels' > \"$TERMINATION_LOG\"; exit 1"},
    "train-exit-75-then-success": {
        "train": 'test -f "$WORK_DIR/once" || { touch "$WORK_DIR/once"; exit 75; }; echo 0.5 > "$TMP_DIR/out"'
    },
    "retry-exhausted": {"train": "exit 75"},
    "fetch-fails": {"fetch": "echo 'no such dataset: 42' > \"$TERMINATION_LOG\"; exit 1"},
    "upload-fails": {"upload": "exit 1"},
    "onexit-fails": {"on_exit": "exit 1"},
    "train-fails-onexit-fails": {"train": "exit 1", "on_exit": "exit 1"},
    "output-parameter-missing": {"convert": "true"},
    "output-parameter-missing-train": {"train": "true"},
}


def facts(found: dict[str, Any]) -> dict[str, Any]:
    """What must be the same: everything but ids, times and the host."""
    name, status = found["metadata"]["name"], found["status"]
    names = {key: each["name"].replace(name, "WF", 1) for key, each in status["nodes"].items()}
    kept = ("displayName", "type", "phase", "message", "templateName", "progress", "nodeFlag", "taskResultSynced")
    nodes = {}
    for each in status["nodes"].values():
        told = {key: each[key] for key in kept if key in each}
        told["displayName"] = told["displayName"].replace(name, "WF")
        told["children"] = sorted(names[child] for child in each.get("children", []))
        told["outboundNodes"] = [names[end] for end in each.get("outboundNodes", [])]
        told["boundary"] = names.get(each.get("boundaryID"))
        outputs = each.get("outputs", {})
        told["exitCode"] = outputs.get("exitCode")
        told["parameters"] = {item["name"]: item.get("value") for item in outputs.get("parameters", [])}
        nodes[names[each["id"]]] = told
    labels = {key: value for key, value in found["metadata"]["labels"].items() if key.startswith("workflows.argo")}
    return {
        "phase": status["phase"],
        "message": status.get("message"),
        "progress": status["progress"],
        "conditions": status["conditions"],
        "labels": labels,
        "nodes": dict(sorted(nodes.items())),
    }


def expected(scenario: str) -> dict[str, Any]:
    return json.loads((HERE / "expected" / f"{scenario}.json").read_text())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_same_nodes_as_a_real_controller(scenario: str, house: Any, make: Any, clock: Any) -> None:
    engine = house.engine(clock=clock)
    manifest = make.pipeline("job-x", **SCENARIOS[scenario])
    if scenario == "output-parameter-missing-train":
        del manifest["spec"]["templates"][3]["outputs"]["parameters"][0]["valueFrom"]["default"]
    engine.submit(manifest, secrets={})

    def reached() -> bool:
        found = engine.get("job-x")
        waits = [each for each in found["status"]["nodes"].values() if each.get("message", "").startswith("Backoff")]
        clock.now += 13 if waits else 0
        return make.finished(found)

    make.until(engine, reached)
    assert facts(engine.get("job-x")) == expected(scenario)


@pytest.mark.parametrize("scenario", sorted(path.stem for path in (HERE / "expected").glob("*.json")))
def test_expectations_are_what_was_recorded(scenario: str) -> None:
    path = RECORDED / f"{scenario}.jsonl.gz"
    if not path.exists():
        pytest.skip("the recorded traces are not part of this checkout")
    with gzip.open(path, "rt") as file:
        seen = [json.loads(line)["object"] for line in file]
    assert facts([each for each in seen if "spec" in each][-1]) == expected(scenario)


def test_memory_kill_has_the_shape_of_an_oom_kill(house: Any, make: Any) -> None:
    engine = house.engine()
    manifest = make.pipeline("job-x")
    container = manifest["spec"]["templates"][3]["container"]
    container["command"] = ["python", "-c"]
    container["args"] = ["x = bytearray(300 << 20)\nimport signal\nsignal.pause()"]
    container["resources"]["limits"]["memory"] = "96Mi"
    engine.submit(manifest, secrets={})
    make.until(engine, lambda: make.finished(engine.get("job-x")))
    found = engine.get("job-x")
    assert facts(found) == expected("oom")
    record = json.loads((house.pod(found, "train(0)") / "exit.json").read_text())
    assert record["memoryLimit"] == 96 << 20
    assert record["peakMemory"] > 96 << 20
    assert b"resources.limits.memory is 100663296" in engine.logs("job-x", make.node(found, "train(0)")["id"], 0)


def test_stop_while_waiting_for_a_gpu(house: Any, make: Any) -> None:
    engine = house.engine()
    engine.submit(make.pipeline("first", train='while ! test -f "$WORK_DIR/go"; do sleep 0.05; done'), secrets={})
    make.until(
        engine,
        lambda: (
            "train(0)" in str(engine.get("first")["status"])
            and make.node(engine.get("first"), "train(0)")["phase"] == "Running"
        ),
    )
    engine.submit(make.pipeline("job-x"), secrets={})
    waiting = make.until(
        engine,
        lambda: [
            each
            for each in engine.get("job-x").get("status", {}).get("nodes", {}).values()
            if each.get("message", "").startswith("Unschedulable")
        ],
    )
    assert waiting[0]["displayName"] == "train(0)"
    assert waiting[0]["phase"] == "Pending"
    assert waiting[0]["message"] == "Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    engine.stop("job-x")
    make.until(engine, lambda: make.finished(engine.get("job-x")))
    assert facts(engine.get("job-x")) == expected("unschedulable")
    assert engine.get("job-x")["spec"]["shutdown"] == "Stop"


def test_missing_secret_waits_until_it_is_stopped(house: Any, make: Any) -> None:
    engine = house.engine()
    manifest = make.pipeline("job-x")
    reference = {"secretKeyRef": {"name": "absent", "key": "token"}}
    manifest["spec"]["templates"][3]["container"]["env"].append({"name": "CALLBACK_TOKEN", "valueFrom": reference})
    engine.submit(manifest, secrets={"token": "t"})
    wanted = 'CreateContainerConfigError: secret "absent" not found'
    make.until(engine, lambda: wanted in str(engine.get("job-x")["status"]).replace("\\", ""))
    engine.stop("job-x")
    make.until(engine, lambda: make.finished(engine.get("job-x")))
    want = expected("missing-secret")
    # A controller adds the default output of a container that never was, long after; nobody needs it.
    want["nodes"]["WF.train(0)"]["parameters"] = {}
    assert facts(engine.get("job-x")) == want


@pytest.mark.parametrize("scenario", ["workflow-deadline", "step-deadline-not-retried"])
def test_deadlines(scenario: str, house: Any, make: Any, clock: Any) -> None:
    engine = house.engine(clock=clock)
    manifest = make.pipeline("job-x", train="while true; do sleep 0.05; done")
    template = manifest["spec"]["templates"][3]
    if scenario == "step-deadline-not-retried":
        template["activeDeadlineSeconds"] = 300
        template["retryStrategy"]["expression"] = (
            "lastRetry.exitCode == '143' && !(lastRetry.message contains 'deadline')"
        )
    engine.submit(manifest, secrets={})
    make.until(
        engine,
        lambda: [
            each
            for each in engine.get("job-x")["status"]["nodes"].values()
            if each["displayName"] == "train(0)" and each["phase"] == "Running"
        ],
    )
    clock.now += 299
    engine.step()
    assert make.node(engine.get("job-x"), "train(0)")["phase"] == "Running"
    clock.now += 2 if scenario == "step-deadline-not-retried" else 302
    make.until(engine, lambda: make.finished(engine.get("job-x")))
    found, want = facts(engine.get("job-x")), expected(scenario)
    if scenario == "workflow-deadline":
        told = found["nodes"]["WF.train"].pop("message")
        recorded = want["nodes"]["WF.train"].pop("message")
        assert told[:33] == recorded[:33] == "retry exceeded workflow deadline "
        assert len(told) == len(recorded)
        assert told.endswith("+0000 UTC")
    assert found == want
