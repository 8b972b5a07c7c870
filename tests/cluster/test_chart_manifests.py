"""The chart's manifests before a real API server: strictly valid, and no right more than the engine uses."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.charts.helm import CHART, SCENARIOS, find, helm
from tests.cluster.found import missing
from tests.cluster.namespace import EXECUTOR, PLATFORM

pytestmark = pytest.mark.cluster

UNKNOWN = {"ServiceMonitor"}
"""Of the Prometheus operator, which a cluster may lack."""


@pytest.fixture(scope="module", autouse=True)
def _helm() -> None:
    if find() is None:
        missing("helm is not installed")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_api_server_takes_every_manifest(scenario: str, kubectl: list[str]) -> None:
    rendered = helm("template", "tiphys", CHART, "-n", "default", "-f", CHART / "ci" / f"{scenario}-values.yaml")
    known = [m for m in yaml.safe_load_all(rendered) if m and m["kind"] not in UNKNOWN]
    command = [*kubectl, "apply", "--dry-run=server", "--validate=strict", "-f", "-"]
    done = subprocess.run(command, input=yaml.safe_dump_all(known), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("(server dry run)") == len(known)
    assert "Warning" not in done.stderr


@pytest.fixture(scope="module")
def rights(kubectl: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[str], str]]:
    """Two namespaces with the accounts, roles and bindings of the chart; kubectl, and the release's namespace."""
    name = f"chart-{secrets.token_hex(4)}"
    values = ["--set", f"jobs.namespace={name}-jobs", "-f", str(CHART / "ci" / "minimal-values.yaml")]
    wanted = ("ServiceAccount", "Role", "RoleBinding")
    rendered = yaml.safe_load_all(helm("template", "tiphys", CHART, "-n", name, *values))
    file = Path(tmp_path_factory.mktemp("rights") / "rights.yaml")
    file.write_text(yaml.safe_dump_all([m for m in rendered if m and m["kind"] in wanted]))
    try:
        for namespace in (name, f"{name}-jobs"):
            subprocess.run([*kubectl, "create", "namespace", namespace], check=True, capture_output=True)
        subprocess.run([*kubectl, "apply", "-f", str(file)], check=True, capture_output=True)
        yield kubectl, name
    finally:
        for namespace in (name, f"{name}-jobs"):
            subprocess.run([*kubectl, "delete", "namespace", namespace, "--wait=false"], capture_output=True)


def allowed(kubectl: list[str], account: str, namespace: str) -> set[tuple[str, str]]:
    """Returns all that an account may do in a namespace, as (verb, resource), as the API server itself lists it."""
    command = [*kubectl, "auth", "can-i", "--list", "--no-headers", f"--as=system:serviceaccount:{account}"]
    lines = subprocess.run([*command, "-n", namespace], check=True, capture_output=True, text=True).stdout.splitlines()
    found = set()
    for line in lines:
        resource, _, rest = line.partition(" ")
        # What everybody may: ask about himself, and read the API's own description.
        if resource.startswith("selfsubject") or "[/" in rest or not resource:
            continue
        verbs = rest.rpartition("[")[2].rstrip("]").split()
        found |= {(verb, resource) for verb in verbs}
    return found


def as_pairs(rules: list[dict[str, list[str]]]) -> set[tuple[str, str]]:
    """Returns a role's rules in the same form."""
    return {
        (verb, f"{resource}.{group}" if group else resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_reconciler_may_do_what_the_engine_does_and_nothing_else(rights: tuple[list[str], str]) -> None:
    kubectl, name = rights
    assert allowed(kubectl, f"{name}:tiphys-reconciler", f"{name}-jobs") == as_pairs(PLATFORM)
    assert allowed(kubectl, f"{name}:tiphys-reconciler", name) == set()


def test_jobs_may_report_their_results_and_nothing_else(rights: tuple[list[str], str]) -> None:
    kubectl, name = rights
    assert allowed(kubectl, f"{name}-jobs:tiphys-jobs", f"{name}-jobs") == as_pairs(EXECUTOR)
    assert allowed(kubectl, f"{name}-jobs:tiphys-jobs", name) == set()
