"""The check of manifests: typos, wrong types, and what a controller would stumble over."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from workflows.manifest import ManifestError, build, check, to_yaml
from workflows.training import training_workflow

Manifest = dict[str, Any]
Change = Callable[[Manifest], Any]


@pytest.fixture
def manifest(job: Callable[..., Any], attempt: Callable[..., Any]) -> Manifest:
    return build(training_workflow(job(), attempt()))


def step(manifest: Manifest, name: str = "train") -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in manifest["spec"]["templates"] if item["name"] == name)
    return found


def task(manifest: Manifest, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in step(manifest, "main")["dag"]["tasks"] if item["name"] == name)
    return found


BAD: list[tuple[str, Change, str]] = [
    (
        "typo",
        lambda m: m["spec"].update(entryPoint="main"),
        "spec.entryPoint: WorkflowSpec has no such field; did you mean entrypoint?",
    ),
    (
        "typo in a template",
        lambda m: step(m).update(retryStrategie={}),
        "spec.templates[train].retryStrategie: Template has no such field",
    ),
    (
        "typo in a container",
        lambda m: step(m)["container"].update(comand=["x"]),
        "container.comand: Container has no such field",
    ),
    ("typo below a mapping", lambda m: step(m)["container"]["env"][0].update(valeu="x"), "env[ATTEMPT].valeu"),
    ("python's spelling", lambda m: m["spec"].update(on_exit="on-exit"), "spec.on_exit"),
    (
        "text for a number",
        lambda m: m["spec"].update(activeDeadlineSeconds="60"),
        "activeDeadlineSeconds: '60' is not a whole number",
    ),
    ("number for text", lambda m: step(m)["container"]["env"][0].update(value=1), "env[ATTEMPT].value: 1 is not text"),
    ("boolean for a number", lambda m: m["spec"].update(parallelism=True), "parallelism: True is not a whole number"),
    ("text for a list", lambda m: step(m)["container"].update(command="python"), "command: 'python' is not a list"),
    ("list for a mapping", lambda m: m["metadata"].update(labels=["a"]), "metadata.labels: ['a'] is not a mapping"),
    ("label no text", lambda m: m["metadata"]["labels"].update(a=1), "metadata.labels.a: 1 is not text"),
    ("list in a value", lambda m: step(m)["retryStrategy"].update(limit=[3]), "retryStrategy.limit"),
    ("missing field", lambda m: task(m, "train").pop("name"), "tasks[2].name: it is missing"),
    ("no spec", lambda m: m.pop("spec"), "spec: it is missing"),
    ("other kind", lambda m: m.update(kind="CronWorkflow"), "is not argoproj.io/v1alpha1 Workflow"),
    ("long name", lambda m: m["metadata"].update(name="x" * 64), "metadata.name"),
    ("capital name", lambda m: m["metadata"].update(name="Train"), "metadata.name: 'Train' is no name"),
    ("no name", lambda m: m["metadata"].pop("name"), "metadata.name: it is missing"),
    ("no entrypoint", lambda m: m["spec"].update(entrypoint="mian"), "spec.entrypoint: there is no template 'mian'"),
    ("no exit handler", lambda m: m["spec"].update(onExit="bye"), "spec.onExit: there is no template 'bye'"),
    (
        "template twice",
        lambda m: m["spec"]["templates"].append(copy.deepcopy(step(m))),
        "spec.templates[train]: there are two",
    ),
    ("two kinds", lambda m: step(m).update(suspend={}), "container and suspend"),
    ("no kind", lambda m: step(m).pop("container"), "is none"),
    ("no command", lambda m: step(m)["container"].pop("command"), "container.command: it is missing"),
    (
        "variable twice",
        lambda m: step(m)["container"]["env"].append({"name": "ATTEMPT"}),
        "env[ATTEMPT]: the variable stands",
    ),
    ("no volume", lambda m: step(m).pop("volumes"), "volumeMounts[tmp]: there is no such volume"),
    (
        "two at one place",
        lambda m: step(m)["container"]["volumeMounts"][1].update(mountPath="/workspace"),
        "mounted at /workspace",
    ),
    (
        "task of no template",
        lambda m: task(m, "train").update(template="tain"),
        "tasks[train].template: there is no template 'tain'",
    ),
    ("task twice", lambda m: task(m, "train").update(name="convert"), "tasks[convert]: there are two tasks"),
    ("waits for none", lambda m: task(m, "train").update(depends="convert && prepare"), "there is no task 'prepare'"),
    ("no such result", lambda m: task(m, "train").update(depends="convert.Suceeded"), "'Suceeded' is no result"),
    (
        "circle",
        lambda m: task(m, "download").update(depends="report"),
        "they wait for each other: download → report → upload",
    ),
    ("waits for itself", lambda m: task(m, "train").update(depends="train"), "wait for each other: train → train"),
    ("both words", lambda m: task(m, "train").update(dependencies=["convert"]), "exclude each other"),
    (
        "display name",
        lambda m: step(m)["annotations"].update({"workflows.argoproj.io/display-name": "train it"}),
        "'train it'",
    ),
    ("workflow-wide retry", lambda m: m["spec"].update(retryStrategy={"limit": 3}), "retry the whole DAG"),
    ("maxDuration", lambda m: step(m)["retryStrategy"]["backoff"].update(maxDuration="1h"), "counts the running time"),
    (
        "reference to nothing",
        lambda m: step(m)["container"].update(args=["{{inputs.parameters.x}}"]),
        "{{inputs.parameters.x}} refers",
    ),
    (
        "exit words elsewhere",
        lambda m: step(m)["container"].update(args=["{{workflow.status}}"]),
        "{{workflow.status}} refers",
    ),
    (
        "unknown output",
        lambda m: task(m, "train").update(
            arguments={"parameters": [{"name": "n", "value": "{{tasks.convert.outputs.parameters.clases}}"}]}
        ),
        "clases}} refers",
    ),
]


@pytest.mark.parametrize(("change", "told"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_says_what_is_wrong_and_where(manifest: Manifest, change: Change, told: str) -> None:
    change(manifest)
    with pytest.raises(ManifestError) as caught:
        check(manifest)
    assert told in str(caught.value)


GOOD: list[tuple[str, Change]] = [
    ("exit words at exit", lambda m: step(m, "on-exit")["container"].update(args=["{{workflow.status}}"])),
    (
        "outputs of a task",
        lambda m: task(m, "train").update(
            arguments={"parameters": [{"name": "n", "value": "{{tasks.convert.outputs.parameters.classes}}"}]}
        ),
    ),
    ("retries", lambda m: step(m)["container"].update(args=["{{retries}}", "{{workflow.name}}", "{{pod.name}}"])),
    ("number or text", lambda m: step(m)["retryStrategy"].update(limit="3")),
    ("an expression", lambda m: step(m)["container"].update(args=["{{=asInt(retries) + 1}}"])),
    ("results", lambda m: task(m, "train").update(depends="convert.Succeeded || download.Failed")),
    ("generated name", lambda m: (m["metadata"].pop("name"), m["metadata"].update(generateName="train-"))),
]


@pytest.mark.parametrize("change", [row[1] for row in GOOD], ids=[row[0] for row in GOOD])
def test_lets_pass_what_argo_takes(manifest: Manifest, change: Change) -> None:
    change(manifest)
    check(manifest)


def test_tells_all_faults_at_once(manifest: Manifest) -> None:
    manifest["spec"].update(entryPoint="x", parallelism="many")
    with pytest.raises(ManifestError) as caught:
        check(manifest)
    assert len(caught.value.faults) == 2
    assert "2 reasons" in str(caught.value)


@pytest.mark.parametrize("value", [None, [], "text", {}, {"spec": []}, {"metadata": {}, "spec": {"templates": [None]}}])
def test_what_is_no_manifest_at_all_is_refused(value: Any) -> None:
    with pytest.raises(ManifestError):
        check(value)


def test_yaml_reads_back_the_same(manifest: Manifest) -> None:
    manifest["metadata"]["annotations"]["odd"] = "y"
    text = to_yaml(manifest)
    assert yaml.safe_load(text) == manifest
    assert "odd: 'y'" in text
    assert list(yaml.safe_load(text)) == ["apiVersion", "kind", "metadata", "spec"]
