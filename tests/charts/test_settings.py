"""What the chart tells the platform is what the platform reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from api.settings import Settings
from tests.charts.helm import CHART, SCENARIOS, Manifest, containers, only, pods, render
from workflows.catalog import FRAMEWORKS
from workflows.manifest import build
from workflows.spec import JobSpec
from workflows.training import Run, training_workflow

SECRETS = {"TIPHYS_USER_TOKEN": "t", "TIPHYS_SIGNING_KEYS": '{"k": "s"}', "TIPHYS_STORAGE_ACCESS_KEY": "a",
           "TIPHYS_STORAGE_SECRET_KEY": "s", "TIPHYS_DATABASE_URL": "postgresql://host/records"}  # fmt: skip


def settings_of(manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings as the reconciler reads them."""
    for name, value in only(manifests, "ConfigMap")["data"].items():
        monkeypatch.setenv(name, value)
    for _, pod in pods(manifests):
        for variable in (v for c in containers(pod) if c["name"] == "reconciler" for v in c["env"]):
            if "valueFrom" in variable:
                monkeypatch.setenv(variable["name"], SECRETS[variable["name"]])
    return Settings()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_variable_is_a_setting(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = render(scenario)
    names = set(only(manifests, "ConfigMap")["data"])
    names |= {v["name"] for _, pod in pods(manifests) for c in containers(pod) for v in c.get("env", [])}
    known = {f"TIPHYS_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in names if name.startswith("TIPHYS_")} <= known
    settings = settings_of(manifests, monkeypatch)
    assert settings.engine == "argo"
    assert settings.host == "0.0.0.0"


def test_gpu_nodes_and_private_images_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(render("gpu"), monkeypatch)
    assert settings.image_prefix == "registry.example/vision"
    assert settings.image_pull_secrets == ["registry"]
    assert settings.node_selector == {"pool": "batch"}
    assert settings.gpu_node_selector == {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    assert [toleration["key"] for toleration in settings.gpu_tolerations] == ["nvidia.com/gpu", "dedicated"]
    assert (settings.cache_claim, settings.cache_limit) == ("tiphys-cache", "450Gi")
    assert (settings.max_active_jobs, settings.pending_limit) == (16, 7200)
    assert settings.public_url == "http://tiphys.training.svc:8137"


def test_what_the_chart_says_of_nodes_stands_in_the_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(render("gpu"), monkeypatch)
    spec = JobSpec.from_mapping(
        {
            "framework": "ultralytics",
            "model": "yolo11n",
            "dataset": "s3://vision/datasets/digits/",
            "resources": {"gpu": 1},
        }
    )
    run = Run(
        job_id="22345678",
        trace_id="0" * 32,
        dataset_uri="s3://vision/datasets/digits/",
        storage=settings.storage(),
        image_prefix=settings.image_prefix,
        image_tag=settings.image_tag,
        cache_claim=settings.resolved_cache_claim(),
        placement=settings.placement(),
    )
    workflow = build(training_workflow(spec, run))["spec"]
    templates = {template["name"]: template for template in workflow["templates"]}
    assert workflow["serviceAccountName"] == "tiphys-jobs"
    assert workflow["imagePullSecrets"] == [{"name": "registry"}]
    assert workflow["nodeSelector"] == {"pool": "batch"}
    train = templates["train"]
    assert train["container"]["image"] == "registry.example/vision/trainer-ultralytics:0.1.0"
    assert train["nodeSelector"] == {"pool": "batch", "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}
    assert [toleration["key"] for toleration in train["tolerations"]] == ["nvidia.com/gpu", "dedicated"]
    assert "tolerations" not in templates["download"]
    claims = [volume.get("persistentVolumeClaim", {}).get("claimName") for volume in templates["download"]["volumes"]]
    assert "tiphys-cache" in claims


def test_everything_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(render("everything"), monkeypatch)
    assert settings.argo_namespace == "default"
    assert settings.workflow_service_account == "training-jobs"
    assert settings.argo_ui == "https://argo.example"
    assert settings.argo_server == "https://argo-server.argo.svc:2746"
    assert (settings.max_active_jobs, settings.cancel_grace) == (1_000_000, 90.5)
    assert settings.pretrained_source == "https://weights.example/{framework}/{model}.{ext}"
    assert settings.public_url == "http://tiphys-training.training.svc:8080"
    assert settings.job_url == "https://tiphys.example/training"
    assert settings.database_url


def test_files_named_in_settings_are_mounted() -> None:
    manifests = render("everything")
    settings = only(manifests, "ConfigMap")["data"]
    (reconciler,) = (c for _, pod in pods(manifests) for c in containers(pod) if c["name"] == "reconciler")
    mounts = [mount["mountPath"] for mount in reconciler["volumeMounts"]]
    for name in ("TIPHYS_ARGO_TOKEN_FILE", "TIPHYS_ARGO_CA"):
        assert settings[name].rpartition("/")[0] in mounts


def test_further_settings_are_those_without_a_value_of_their_own() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["settings"]["properties"]
    text = (CHART / "templates" / "_settings.tpl").read_text()
    set_here = {name.lower() for name in re.findall(r"TIPHYS_([A-Z_]+)", text)}
    # What belongs to the local engine, to one machine, or to another way into a cluster than a pod's own.
    elsewhere = {"home", "environments", "gpus", "cpus", "kubeconfig", "kube_context", "argo_token"}
    assert set(schema) == set(Settings.model_fields) - set_here - elsewhere


def test_the_images_built_are_the_images_asked_for() -> None:
    built = re.search(r"names=\((api .*)\)", (Path(__file__).parents[2] / "requirements" / "images.sh").read_text())
    assert built is not None
    asked = {"api", "steps"} | {home.image for home in FRAMEWORKS.values() if home.image}
    assert set(built[1].split()) == asked
