"""What is refused, by name; and that the rest is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workflows.engine import EngineRefused
from workflows.local import LocalImages
from workflows.local.subset import check


@pytest.fixture
def images(tmp_path: Path) -> LocalImages:
    return LocalImages(environments=tmp_path / "environments", source=tmp_path, cwd=tmp_path)


def refusal(manifest: Any, images: LocalImages) -> str:
    with pytest.raises(EngineRefused) as refused:
        check(manifest, images)
    return refused.value.message


CASES: dict[str, tuple[Any, str]] = {
    "suspend": (lambda m: m["spec"].update(suspend=True), "spec.suspend is not known"),
    "parallelism": (lambda m: m["spec"].update(parallelism=2), "spec.parallelism is not known"),
    "hooks": (lambda m: m["spec"].update(hooks={"exit": {"template": "a"}}), "spec.hooks is not known"),
    "lock": (
        lambda m: m["spec"].update(synchronization={"mutexes": [{"name": "x"}]}),
        "spec.synchronization is not known",
    ),
    "sidecar": (
        lambda m: m["spec"]["templates"][1].update(sidecars=[{"name": "x"}]),
        "spec.templates[fetch].sidecars is not known",
    ),
    "script": (
        lambda m: m["spec"]["templates"].append({"name": "s", "script": {"source": "1"}}),
        "spec.templates[s].script is not known",
    ),
    "env from": (
        lambda m: m["spec"]["templates"][1]["container"].update(envFrom=[{"secretRef": {"name": "x"}}]),
        "spec.templates[fetch].container.envFrom is not known",
    ),
    "field ref": (
        lambda m: m["spec"]["templates"][1]["container"]["env"].append(
            {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}
        ),
        "spec.templates[fetch].container.env[N].valueFrom.fieldRef is not known",
    ),
    "secret volume": (
        lambda m: m["spec"].update(volumes=[{"name": "v", "secret": {"secretName": "x"}}]),
        "spec.volumes[v].secret is not known",
    ),
    "two kinds of volume": (
        lambda m: m["spec"].update(
            volumes=[{"name": "v", "emptyDir": {}, "persistentVolumeClaim": {"claimName": "x"}}]
        ),
        "spec.volumes[v] must be either an emptyDir or a persistentVolumeClaim",
    ),
    "no kind of volume": (
        lambda m: m["spec"]["templates"][1].update(volumes=[{"name": "v"}]),
        "spec.templates[fetch].volumes[v] must be either",
    ),
    "claim that climbs": (
        lambda m: m["spec"].update(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "../x"}}]),
        "spec.volumes[v].persistentVolumeClaim.claimName: '../x' is not a name",
    ),
    "odd GPU": (
        lambda m: m["spec"]["templates"][3]["container"]["resources"]["limits"].update({"amd.com/gpu": 1}),
        "spec.templates[train].container.resources.limits: amd.com/gpu is not known",
    ),
    "with items": (
        lambda m: m["spec"]["templates"][0]["dag"]["tasks"][0].update(withItems=[1, 2]),
        "spec.templates[main].dag.tasks[fetch].withItems is not known",
    ),
    "when": (
        lambda m: m["spec"]["templates"][0]["dag"]["tasks"][0].update(when="1 == 1"),
        "spec.templates[main].dag.tasks[fetch].when is not known",
    ),
    "no entry point": (lambda m: m["spec"].update(entrypoint="gone"), "there is no template 'gone'"),
    "unknown task": (
        lambda m: m["spec"]["templates"][0]["dag"]["tasks"][1].update(depends="ghost"),
        "'convert' depends on 'ghost'",
    ),
    "circle": (
        lambda m: m["spec"]["templates"][0]["dag"]["tasks"][0].update(depends="report"),
        "tasks wait for one another",
    ),
    "bad depends": (
        lambda m: m["spec"]["templates"][0]["dag"]["tasks"][1].update(depends="fetch.AllFailed"),
        "unknown result 'AllFailed'",
    ),
    "variable": (
        lambda m: m["spec"]["templates"][1]["container"].update(args=["{{workflow.creationTimestamp}}"]),
        "variable {{workflow.creationTimestamp}} is not known",
    ),
    "status outside the exit handler": (
        lambda m: m["spec"]["templates"][1]["container"].update(args=["{{workflow.status}}"]),
        "variable {{workflow.status}} is not known",
    ),
    "retry expression": (
        lambda m: m["spec"]["templates"][3]["retryStrategy"].update(expression="lastRetry.exitCode == 75"),
        "spec.templates[train].retryStrategy.expression: 'lastRetry.exitCode == 75': cannot compare",
    ),
    "retry variable": (
        lambda m: m["spec"]["templates"][3]["retryStrategy"].update(expression="retries == '1'"),
        "retries is not known",
    ),
    "retry policy": (
        lambda m: m["spec"]["templates"][3]["retryStrategy"].update(retryPolicy="Never"),
        "spec.templates[train].retryStrategy.retryPolicy: 'Never'",
    ),
    "no command": (
        lambda m: m["spec"]["templates"][1]["container"].pop("command"),
        "spec.templates[fetch].container.command is missing",
    ),
    "name": (lambda m: m["metadata"].update(name="../x"), "metadata.name: '../x' is not a name"),
    "no name": (
        lambda m: m.update(metadata={"generateName": "x-"}),
        "metadata.name is missing",
    ),
    "mount": (
        lambda m: m["spec"]["templates"][1]["container"]["volumeMounts"].append({"name": "v", "mountPath": "/v"}),
        "spec.templates[fetch].container.volumeMounts[v]: there is no such volume",
    ),
    "climbing path": (
        lambda m: m["spec"]["templates"][1]["outputs"]["parameters"][0]["valueFrom"].update(path="/tmp/../etc/x"),
        "is not an absolute path",
    ),
    "pod patch": (
        lambda m: m["spec"].update(podSpecPatch='{"hostPID": true}'),
        "spec.podSpecPatch: patch.hostPID is not known",
    ),
    "deadline as text": (
        lambda m: m["spec"].update(activeDeadlineSeconds="{{workflow.parameters.x}}"),
        "spec.activeDeadlineSeconds: ",
    ),
    "retry on a DAG": (
        lambda m: m["spec"]["templates"][0].update(retryStrategy={"limit": 1}),
        "spec.templates[main].retryStrategy is not known to it on a DAG",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_by_name(case: str, images: LocalImages, make: Any) -> None:
    change, wanted = CASES[case]
    manifest = make.pipeline("job")
    change(manifest)
    assert wanted in refusal(manifest, images)


def test_everything_at_once(images: LocalImages, make: Any) -> None:
    manifest = make.pipeline("job")
    manifest["spec"] |= {"suspend": True, "parallelism": 1}
    told = refusal(manifest, images)
    assert "spec.suspend" in told
    assert "spec.parallelism" in told


def test_fields_of_a_cluster_have_no_meaning_here(images: LocalImages, make: Any) -> None:
    manifest = make.pipeline("job")
    manifest["spec"] |= {
        "podGC": {"strategy": "OnPodCompletion"},
        "ttlStrategy": {"secondsAfterCompletion": 60},
        "imagePullSecrets": [{"name": "x"}],
        "securityContext": {"runAsNonRoot": True},
        "podSpecPatch": '{"terminationGracePeriodSeconds": 60, "containers": [{"name": "main", "env": '
        '[{"name": "ARGO_PROGRESS_PATCH_TICK_DURATION", "value": "3s"}]}]}',
    }
    manifest["spec"]["templates"][3] |= {
        "nodeSelector": {"gpu": "yes"},
        "tolerations": [{"key": "gpu"}],
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}],
    }
    mount = {"name": "shm", "mountPath": "/dev/shm"}
    manifest["spec"]["templates"][3]["container"]["volumeMounts"].append(mount)
    check(manifest, images)


def test_missing_environment_names_the_cure(images: LocalImages, make: Any) -> None:
    manifest = make.pipeline("job")
    manifest["spec"]["templates"][1]["container"]["image"] = "registry.example:5000/tiphys/steps:0.1.0"
    told = refusal(manifest, images)
    assert "make environments" in told
    assert "environments/steps" in told


def test_images(images: LocalImages, tmp_path: Path) -> None:
    program = tmp_path / "environments" / "ultralytics" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    found = images.environment("tiphys/trainer-ultralytics:0.1.0")
    assert found.path.startswith(f"{program.parent}:")
    assert found.pythonpath == str(tmp_path)
    assert found.cwd is None
    custom = images.environment("somebody/trainer@sha256:0000")
    assert custom.cwd == tmp_path
    assert custom.path != found.path
