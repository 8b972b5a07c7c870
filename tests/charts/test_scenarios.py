"""What holds in every scenario: Helm finds no fault, pods are locked down, names and versions agree."""

from __future__ import annotations

import pytest
import yaml

from tests.charts.helm import CHART, SCENARIOS, Manifest, containers, helm, only, pods, render
from workflows.version import __version__


@pytest.fixture(params=SCENARIOS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return render(request.param)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_helm_finds_no_fault(scenario: str) -> None:
    said = helm("lint", "--strict", CHART, "-f", CHART / "ci" / f"{scenario}-values.yaml")
    assert "0 chart(s) failed" in said
    assert "WARNING" not in said


def test_the_chart_is_of_the_platforms_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_each_file_makes_one_resource() -> None:
    for file in CHART.glob("templates/**/*.yaml"):
        kinds = [line for line in file.read_text().splitlines() if line.startswith("kind:")]
        assert len(kinds) == 1, file.name


def test_every_pod_is_locked_down(manifests: list[Manifest]) -> None:
    assert pods(manifests)
    for name, pod in pods(manifests):
        assert pod["automountServiceAccountToken"] is False, name
        # A Service called tiphys would set TIPHYS_PORT to an address.
        assert pod["enableServiceLinks"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in containers(pod):
            where = f"{name}: {container['name']}"
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, where
            assert "memory" in container["resources"]["limits"], where
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), where


def test_only_the_reconciler_speaks_to_the_cluster(manifests: list[Manifest]) -> None:
    with_token = [
        container["name"]
        for _, pod in pods(manifests)
        for container in containers(pod)
        if any("serviceaccount" in mount["mountPath"] for mount in container.get("volumeMounts", []))
    ]
    assert with_token == ["reconciler"]


def test_no_secret_stands_in_the_open(manifests: list[Manifest]) -> None:
    settings = only(manifests, "ConfigMap")["data"]
    for name in settings:
        assert not name.endswith(("TOKEN", "KEY", "KEYS", "DATABASE_URL")), name
    for _, pod in pods(manifests):
        for container in containers(pod):
            for variable in container.get("env", []):
                if variable["name"].startswith("TIPHYS_"):
                    assert set(variable) == {"name", "valueFrom"}, variable["name"]


def test_what_running_jobs_need_outlives_the_release(manifests: list[Manifest]) -> None:
    kept = {
        (m["kind"], m["metadata"]["name"])
        for m in manifests
        if (m["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") == "keep"
    }
    account = only(manifests, "ConfigMap")["data"]["TIPHYS_WORKFLOW_SERVICE_ACCOUNT"]
    expected = {(kind, account) for kind in ("ServiceAccount", "Role", "RoleBinding")}
    expected |= {(m["kind"], m["metadata"]["name"]) for m in manifests if m["kind"] == "PersistentVolumeClaim"}
    expected |= {(m["kind"], m["metadata"]["name"]) for m in manifests if m["kind"] == "Secret"}
    assert kept == expected


def test_selectors_find_their_pods(manifests: list[Manifest]) -> None:
    labels = [m["spec"]["template"]["metadata"]["labels"] for m in manifests if m["kind"] == "Deployment"]
    selectors = [m["spec"]["selector"]["matchLabels"] for m in manifests if m["kind"] == "Deployment"]
    for wanted, worn in zip(selectors, labels, strict=True):
        assert wanted.items() <= worn.items()
    service = only(manifests, "Service")["spec"]["selector"]
    assert [service.items() <= worn.items() for worn in labels].count(True) == 1
    for monitor in (m for m in manifests if m["kind"] == "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]
        assert wanted.items() <= only(manifests, "Service")["metadata"]["labels"].items()
