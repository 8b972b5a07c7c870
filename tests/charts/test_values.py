"""What an operator may say: unknown and impossible values are refused in words that help."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
import yaml

from tests.charts.helm import CHART, Refused, containers, helm, only, pods, render

POSTGRES = {"records.backend": "postgresql", "records.postgresql.existingSecret": "database"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"api.replicas": 2}, "set records.backend to postgresql, or api.replicas to 1"),
        ({"reconciler.replicas": 2}, "with SQLite it runs beside the API, once"),
        ({"records.backend": "postgresql"}, "records.postgresql.existingSecret is not set"),
        ({"storage.bucket": ""}, "storage.bucket is not set"),
        ({"storage.endpoint": ""}, "with storage.type minio give the server's address"),
        ({"storage.existingSecret": ""}, "name a Secret with the keys access-key and secret-key"),
        ({"ingress.enabled": True}, "ingress.host is not set"),
        ({"jobs.quota.enabled": True}, "jobs.quota.hard is empty"),
        ({"jobs.quota.enabled": True, "jobs.quota.hard.limits\\.memory": "9Gi"}, "set jobs.quota.limitRange"),
        ({"jobs.serviceAccount.create": False}, "jobs.serviceAccount.name is not set"),
        ({"api.replica": 2}, "replica"),
        ({"api.replicas": "two"}, "/api/replicas"),
        ({"records.backend": "mysql"}, "/records/backend"),
        ({"storage.endpoint": "minio:9000"}, "/storage/endpoint"),
        ({"images.prefix": "registry.example/team/"}, "/images/prefix"),
        ({"settings.max_active_job": 3}, "max_active_job"),
        ({"settings.tick": 0}, "/settings/tick"),
        ({"settings.host": "::"}, "host"),
        ({"settings.mlflow_tracking_uri": "http://me:secret@mlflow"}, "/settings/mlflow_tracking_uri"),
        ({"jobs.namespace": "Not_A_Name"}, "/jobs/namespace"),
        ({"records.sqlite.size": "20 GB"}, "/records/sqlite/size"),
        ({"jobs.gpu.tolerations[0].operator": "Exist"}, "/jobs/gpu/tolerations/0/operator"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused_by_name(values: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused) as refused:
        render(values=values)
    assert said in str(refused.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Refused) as refused:
        helm("template", "tiphys", CHART, "--set", "api.replicas=3,storage.type=r2")
    for name in ("api.replicas", "storage.bucket", "storage.endpoint", "storage.existingSecret"):
        assert f"- {name} is" in str(refused.value)


def test_every_value_is_in_the_schema_and_documented() -> None:
    defaults: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(values: dict[str, Any], properties: dict[str, Any], where: str) -> None:
        assert set(values) == set(properties) - {"global"}, where
        for name, value in values.items():
            inner = properties[name]
            if "properties" in inner and name != "settings":
                assert inner["additionalProperties"] is False, f"{where}.{name}"
                compare(value, inner["properties"], f"{where}.{name}")

    compare(defaults, schema["properties"], "")


def test_the_readme_names_values_that_are_there() -> None:
    defaults: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    named = set(re.findall(r"`([A-Za-z]+(?:\.[A-Za-z]+)+)\b", (CHART / "README.md").read_text()))
    named = {path for path in named if path.partition(".")[0] in defaults and not path.startswith("settings.")}
    assert len(named) > 10
    for path in named:
        inner: Any = defaults
        for part in path.split("."):
            assert part in inner, path
            inner = inner[part]


def test_postgresql_brings_replicas_and_a_reconciler_of_its_own() -> None:
    manifests = render(values=POSTGRES | {"api.replicas": 3, "reconciler.replicas": 2})
    api, reconciler = only(manifests, "Deployment", "-api"), only(manifests, "Deployment", "-reconciler")
    assert (api["spec"]["replicas"], reconciler["spec"]["replicas"]) == (3, 2)
    assert api["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    pod = api["spec"]["template"]["spec"]
    assert [c["command"] for c in pod["initContainers"]] == [["python", "-m", "api", "--migrate"]]
    assert pod["serviceAccountName"] == "tiphys-api"
    assert only(manifests, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert not [m for m in manifests if m["kind"] == "PersistentVolumeClaim"]


def test_sqlite_is_one_pod_with_a_volume() -> None:
    manifests = render()
    (deployment,) = (m for m in manifests if m["kind"] == "Deployment")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    ((_, pod),) = [(name, pod) for name, pod in pods(manifests) if name.startswith("Deployment")]
    assert [c["name"] for c in containers(pod)] == ["api", "reconciler"]
    assert only(manifests, "PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert not [m for m in manifests if m["kind"] == "PodDisruptionBudget"]


def test_generated_keys_are_what_the_platform_reads() -> None:
    data = {k: base64.b64decode(v).decode() for k, v in only(render(), "Secret")["data"].items()}
    ((kid, key),) = json.loads(data["signing-keys"]).items()
    assert (len(kid), len(key)) == (8, 64)
    assert data["user-token"].startswith("tiphys_")
    assert len(data["user-token"]) > 30


def test_ones_own_keys_are_not_generated() -> None:
    assert not [m for m in render(values={"auth.existingSecret": "mine"}) if m["kind"] == "Secret"]


def test_jobs_in_a_namespace_of_their_own_take_their_rights_along() -> None:
    manifests = render(values={"jobs.namespace": "jobs", "jobs.cache.enabled": True, "networkPolicy.enabled": True})
    placed = {(m["kind"], m["metadata"]["name"]): m["metadata"]["namespace"] for m in manifests}
    assert {key for key, namespace in placed.items() if namespace == "jobs"} == {
        ("ServiceAccount", "tiphys-jobs"),
        ("Role", "tiphys-jobs"),
        ("RoleBinding", "tiphys-jobs"),
        ("Role", "tiphys-reconciler"),
        ("RoleBinding", "tiphys-reconciler"),
        ("PersistentVolumeClaim", "tiphys-cache"),
        ("NetworkPolicy", "tiphys-jobs"),
    }
    assert only(manifests, "RoleBinding", "-reconciler")["subjects"][0]["namespace"] == "training"


def test_a_changed_setting_makes_new_pods_and_nothing_else_does() -> None:
    def mark(**values: Any) -> str:
        template = only(render(values=values), "Deployment")["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    assert mark() == mark()
    assert mark() != mark(**{"settings.max_active_jobs": 7})


def test_a_release_of_another_name_says_both() -> None:
    assert only(render(release="vision"), "Service")["metadata"]["name"] == "vision-tiphys"
