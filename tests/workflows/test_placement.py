"""Where pods run, as whom, and what they may write to."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.workflows.parts import template
from workflows.manifest import build
from workflows.placement import Placement
from workflows.training import training_workflow

Make = Callable[..., Any]


def test_pods_run_where_and_as_whom_the_operator_says(job: Make, attempt: Make) -> None:
    taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    placement = Placement(
        service_account="tiphys-job",
        image_pull_secrets=("pull",),
        node_selector={"pool": "jobs"},
        gpu_node_selector={"gpu": "a100"},
        gpu_tolerations=(taint,),
    )
    manifest = build(training_workflow(job(resources={"gpu": 1}), attempt(placement=placement)))
    assert manifest["spec"]["serviceAccountName"] == "tiphys-job"
    assert manifest["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    assert manifest["spec"]["nodeSelector"] == {"pool": "jobs"}
    train = template(manifest, "train")
    # Argo takes a template's selector in the place of the workflow's.
    assert train["nodeSelector"] == {"pool": "jobs", "gpu": "a100"}
    assert train["tolerations"] == [taint]
    assert "tolerations" not in template(manifest, "download")
    on_cpu = template(build(training_workflow(job(resources={"gpu": 0}), attempt(placement=placement))), "train")
    assert "nodeSelector" not in on_cpu
    assert "tolerations" not in on_cpu


def test_progress_is_told_by_whichever_container_is_the_executor(job: Make, attempt: Make) -> None:
    for executor in ("wait", "supervisor"):
        manifest = build(training_workflow(job(), attempt(placement=Placement(executor=executor))))
        patch = json.loads(template(manifest, "train")["podSpecPatch"])
        assert [container["name"] for container in patch["containers"]] == [executor]


def test_our_own_images_cannot_write_to_their_root(job: Make, attempt: Make) -> None:
    manifest = build(training_workflow(job(), attempt()))
    for step in ("download", "convert", "train", "upload", "report", "on-exit"):
        assert template(manifest, step)["container"]["securityContext"]["readOnlyRootFilesystem"] is True
    own = {"framework": "custom", "model": None, "image": "own/trainer:3", "command": ["train"]}
    custom = template(build(training_workflow(job(**own), attempt())), "train")
    assert "readOnlyRootFilesystem" not in custom["container"]["securityContext"]
