"""The DAG: order, conditions, parameters, failFast, the exit handler."""

from __future__ import annotations

import json
from typing import Any


def finish(engine: Any, make: Any, manifest: dict[str, Any]) -> dict[str, Any]:
    engine.submit(manifest, secrets={})
    name = manifest["metadata"]["name"]
    make.until(engine, lambda: make.finished(engine.get(name)))
    return engine.get(name)


def phases(found: dict[str, Any]) -> dict[str, str]:
    return {node["displayName"]: node["phase"] for node in found["status"]["nodes"].values()}


def build(make: Any, tasks: dict[str, str | None], scripts: dict[str, str], **dag: Any) -> dict[str, Any]:
    templates = [{"name": name, "container": make.sh(scripts.get(name, "true"))} for name in tasks]
    return make.workflow("job", [make.dag(tasks, **dag), *templates])


def test_diamond_with_conditions(house: Any, make: Any) -> None:
    tasks = {"a": None, "b": "a", "c": "a", "salvage": "c.Failed", "d": "b && c", "e": "b || c"}
    found = finish(house.engine(), make, build(make, tasks, {"c": "exit 1"}))
    assert phases(found) == {
        "job": "Failed", "a": "Succeeded", "b": "Succeeded", "c": "Failed", "salvage": "Succeeded", "d": "Omitted",
        "e": "Succeeded",
    }  # fmt: skip
    nodes = found["status"]["nodes"]
    assert {nodes[child]["displayName"] for child in make.node(found, "a")["children"]} == {"b", "c"}
    assert {nodes[end]["displayName"] for end in make.node(found, "job")["outboundNodes"]} == {"salvage", "d", "e"}


def test_failure_that_is_foreseen_is_none(house: Any, make: Any) -> None:
    tasks = {"a": None, "always": "a.Succeeded || a.Failed"}
    found = finish(house.engine(), make, build(make, tasks, {"a": "exit 1"}))
    assert phases(found) == {"job": "Succeeded", "a": "Failed", "always": "Succeeded"}


def test_fail_fast_lets_run_but_begins_nothing_new(house: Any, make: Any) -> None:
    tasks = {"bad": None, "slow": None, "next": "slow"}
    scripts = {"bad": "exit 1", "slow": 'while ! test -f "$HOME/go"; do sleep 0.02; done'}
    for fail_fast, wanted in ((True, None), (False, "Succeeded")):
        engine = house.engine()
        manifest = build(make, tasks, scripts, failFast=fail_fast)
        engine.submit(manifest, secrets={})
        made = make.until(engine, lambda engine=engine: [
            engine.get("job") for node in engine.get("job").get("status", {}).get("nodes", {}).values()
            if node["displayName"] == "slow" and node["phase"] == "Running"
            and phases(engine.get("job")).get("bad") == "Failed"
        ])[0]  # fmt: skip
        (house.pod(made, "slow") / "home" / "go").touch()
        make.until(engine, lambda engine=engine: make.finished(engine.get("job")))
        found = phases(engine.get("job"))
        assert found.get("next") == wanted
        assert (found["job"], found["slow"]) == ("Failed", "Succeeded")
        engine.delete("job")
        engine.step()
        assert engine.names() == []
        engine.close()


def test_parameters_pass_through(house: Any, make: Any) -> None:
    manifest = make.workflow(
        "job",
        [
            {
                "name": "main",
                "inputs": {"parameters": [{"name": "greeting"}]},
                "dag": {
                    "tasks": [
                        {"name": "say", "template": "say", "arguments": {"parameters": [
                            {"name": "word", "value": "{{inputs.parameters.greeting}}"}]}},
                        {"name": "hear", "template": "hear", "depends": "say", "arguments": {"parameters": [
                            {"name": "heard", "value": "{{tasks.say.outputs.parameters.out}} {{tasks.say.exitCode}}"},
                        ]}},
                    ]
                },
            },
            {
                "name": "say",
                "annotations": {"workflows.argoproj.io/display-name": "say-{{inputs.parameters.word}}"},
                "inputs": {"parameters": [{"name": "word"}, {"name": "times", "default": 2}]},
                "outputs": {"parameters": [{"name": "out", "valueFrom": {"path": "/tmp/deep/out", "default": "-"}},
                                           {"name": "none", "valueFrom": {"path": "/tmp/none", "default": 0}}]},
                "container": make.sh(
                    'mkdir "$TMP_DIR/deep"; echo "{{inputs.parameters.word}}{{inputs.parameters.times}}'
                    '{{workflow.parameters.mark}} {{workflow.name}} {{retries}} {{pod.name}}" > "$TMP_DIR/deep/out"'
                ),
                "retryStrategy": {"limit": 1},
            },
            {
                "name": "hear",
                "inputs": {"parameters": [{"name": "heard"}]},
                "container": make.sh("echo '{{inputs.parameters.heard}}'"),
            },
        ],
        arguments={"parameters": [{"name": "greeting", "value": "hello"}, {"name": "mark", "value": "!"}]},
    )  # fmt: skip
    engine = house.engine()
    found = finish(engine, make, manifest)
    say = make.node(found, "say(0)")
    assert make.node(found, "say-hello")["type"] == "Retry"
    assert say["inputs"] == {"parameters": [{"name": "word", "value": "hello"}, {"name": "times", "value": "2"}]}
    values = {item["name"]: item["value"] for item in say["outputs"]["parameters"]}
    pod = f"job-say-{say['id'].rpartition('-')[2]}"
    assert values == {"out": f"hello2! job 0 {pod}", "none": "0"}
    assert engine.logs("job", make.node(found, "hear")["id"], 0).decode() == f"hello2! job 0 {pod} 0\n"


def test_braces_in_a_message_do_not_cost_the_exit_handler(house: Any, make: Any) -> None:
    # Put together by the shell: in the manifest itself they would be a variable.
    manifest = make.pipeline("job", train="""printf 'no {''{name}''}' > "$TERMINATION_LOG"; exit 1""")
    handler = manifest["spec"]["templates"][-1]["container"]
    handler["command"], handler["args"] = ["python", "-c", "import sys; print(sys.argv[1])"], ["{{workflow.failures}}"]
    engine = house.engine()
    found = finish(engine, make, manifest)
    node = make.node(found, "job.onExit")
    assert node["phase"] == "Succeeded", node.get("message")
    assert "no {{name}}" in engine.logs("job", node["id"], 0).decode()


def test_exit_handler_hears_how_it_ended(house: Any, make: Any) -> None:
    manifest = make.pipeline("job", train='echo "no \\"labels\\"" > "$TERMINATION_LOG"; exit 1')
    handler = manifest["spec"]["templates"][-1]["container"]
    handler["command"] = ["python", "-c", "import sys; print(sys.argv[1]); print(sys.argv[2])"]
    handler["args"] = ["{{workflow.status}}", "{{workflow.failures}}"]
    engine = house.engine()
    found = finish(engine, make, manifest)
    status, told = engine.logs("job", make.node(found, "job.onExit")["id"], 0).decode().splitlines()
    assert status == "Failed"
    failures = json.loads(json.loads(told))
    train = next(item for item in failures if item["displayName"] == "train(0)")
    assert train["message"] == 'main: Error (exit code 1): no "labels"\n'
    assert set(train) == {"displayName", "message", "templateName", "phase", "podName", "finishedAt"}
    assert train["podName"].startswith("job-train-")


def test_one_container_as_entrypoint(house: Any, make: Any) -> None:
    found = finish(house.engine(), make, make.workflow("job", [{"name": "main", "container": make.sh("exit 4")}]))
    node = found["status"]["nodes"]["job"]
    assert (node["type"], node["phase"]) == ("Pod", "Failed")
    assert (found["status"]["phase"], found["status"]["message"]) == ("Failed", "main: Error (exit code 4)")


def test_inner_dag(house: Any, make: Any) -> None:
    outer = {"name": "outer", "dag": {"tasks": [
        {"name": "first", "template": "main"}, {"name": "then", "template": "b", "depends": "first"}]}}  # fmt: skip
    inner = build(make, {"a": None, "b": "a"}, {})
    inner["spec"]["templates"].append(outer)
    inner["spec"]["entrypoint"] = "outer"
    found = finish(house.engine(), make, inner)
    nodes = found["status"]["nodes"]
    assert {node["name"] for node in nodes.values()} == {
        "job", "job.first", "job.first.a", "job.first.b", "job.then",
    }  # fmt: skip
    inner_b = next(node for node in nodes.values() if node["name"] == "job.first.b")
    assert [nodes[child]["name"] for child in inner_b["children"]] == ["job.then"]


def test_one_training_at_a_time_on_one_gpu(house: Any, make: Any) -> None:
    engine = house.engine()
    log = house.home.parent / "order"
    for name in ("one", "two", "three"):
        manifest = make.single(name, f"echo {name} begins >> {log}; sleep 0.2; echo {name} ends >> {log}",
                               container={"resources": {"limits": {"nvidia.com/gpu": 1}}})  # fmt: skip
        engine.submit(manifest, secrets={})
        engine.step()
    make.until(engine, lambda: all(make.finished(engine.get(name)) for name in ("one", "two", "three")))
    lines = [line for name in ("one", "two", "three") for line in (f"{name} begins", f"{name} ends")]
    assert log.read_text().splitlines() == lines
