"""The chart on a real cluster: installed, a job succeeded, upgraded and removed under a job that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.charts.helm import find
from tests.cluster.found import missing
from tests.cluster.images import LIGHT
from tests.cluster.release import Release, make_digits, release_in
from tests.cluster.volumes import writable_volumes
from tests.conformance.stage import NODE
from tests.steps.s3 import serving

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def release(
    kubectl: list[str], images: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """An installation on SQLite whose jobs run in a namespace of their own."""
    if find() is None:
        missing("helm is not installed")
    images(*LIGHT)
    root = tmp_path_factory.mktemp("s3")
    with (
        serving(root, address=NODE) as storage,
        writable_volumes(),
        release_in(kubectl, storage, {}) as made,
    ):
        made.install()
        yield made


@pytest.fixture(scope="module")
def with_dataset(release: Release, argo: str, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The same with a dataset of real handwritten digits."""
    release.add_dataset(make_digits(tmp_path_factory.mktemp("data") / "digits"), "digits")
    return release


def toy(**more: Any) -> dict[str, Any]:
    """A job of seconds."""
    resources = {"gpu": 0, "cpu": "100m", "memory": "512Mi", "shared_memory": "16Mi", "workspace": "1Gi"}
    return {"framework": "toy", "model": "softmax", "dataset": "digits", "resources": resources, **more}


def slow(epochs: int) -> dict[str, Any]:
    """A job whose every epoch takes a second."""
    return toy(hyperparameters={"epochs": epochs}, advanced_config={"epoch_seconds": 1.0})


def epochs_of(release: Release, job_id: str) -> list[int]:
    """The epochs in the record, in order."""
    metrics = release.read(f"/api/v1/training/jobs/{job_id}/metrics")
    return sorted({point["epoch"] for point in metrics["items"]})


def test_everything_is_there(release: Release) -> None:
    release.helm("test")
    checks = release.read("/ready")["checks"]
    assert {name: check["ok"] for name, check in checks.items()} == {
        "database": True,
        "migrations": True,
        "storage": True,
        "reconciler": True,
    }


def test_the_pod_can_do_no_more_than_it_must(release: Release) -> None:
    (pod,) = release.pods("api")
    name = pod["metadata"]["name"]

    def run(container: str, script: str) -> str:
        return release.do("exec", name, "-c", container, "--", "sh", "-c", script).strip()

    for container in ("api", "reconciler"):
        assert run(container, "id -u") == "1000"
        assert run(container, "touch /opt/x /app 2>/dev/null; echo $?") != "0"
        assert run(container, "touch /tmp/x && touch $TIPHYS_HOME/x && rm $TIPHYS_HOME/x; echo $?") == "0"
    there = "test -e /var/run/secrets/kubernetes.io/serviceaccount/token; echo $?"
    assert (run("api", there), run("reconciler", there)) == ("1", "0")


@pytest.mark.argo
def test_a_job_succeeds(with_dataset: Release) -> None:
    job_id = with_dataset.submit(toy(hyperparameters={"epochs": 3}))
    job = with_dataset.ended(job_id)
    assert (job["state"], job["reason"]) == ("succeeded", "completed")
    checkpoints = with_dataset.read(f"/api/v1/training/jobs/{job_id}/checkpoints")["items"]
    assert {checkpoint["kind"] for checkpoint in checkpoints} == {"best", "last"}


@pytest.mark.argo
def test_an_upgrade_disturbs_no_job(with_dataset: Release) -> None:
    release = with_dataset
    token, keys = release.secret("user-token"), release.secret("signing-keys")
    before = release.pods("api")[0]["metadata"]["uid"]
    job_id = release.submit(slow(45))
    release.until(job_id, lambda job: (job["epoch"] or 0) >= 2)
    release.upgrade(**{"settings.max_active_jobs": 7})
    (pod,) = release.pods("api")
    assert pod["metadata"]["uid"] != before
    assert (release.secret("user-token"), release.secret("signing-keys")) == (token, keys)
    assert release.until(job_id, lambda job: True)["state"] == "running"
    assert release.ended(job_id)["reason"] == "completed"
    assert epochs_of(release, job_id) == list(range(1, 46))


@pytest.mark.argo
def test_a_removal_orphans_no_job(with_dataset: Release) -> None:
    release = with_dataset
    job_id = release.submit(slow(60))
    release.until(job_id, lambda job: (job["epoch"] or 0) >= 2)
    release.uninstall()
    ours = ("-l", "app.kubernetes.io/instance=tiphys", "-o", "name")
    assert release.do("get", "deployments,pods,services,configmaps", *ours) == ""
    # It trains on, and the steps after it will find their account and its rights.
    phase = ("get", "workflow", f"train-{job_id}-1", "-o", "jsonpath={.status.phase}")
    assert release.do(*phase, namespace=release.jobs) == "Running"
    kept = release.do("get", "serviceaccounts,roles,rolebindings,secrets", *ours, namespace=release.jobs).split()
    assert "serviceaccount/tiphys-jobs" in kept
    assert "rolebinding.rbac.authorization.k8s.io/tiphys-jobs" in kept
    release.install()
    assert release.ended(job_id)["reason"] == "completed"
    assert epochs_of(release, job_id) == list(range(1, 61))
    assert release.do(*phase, namespace=release.jobs) == "Succeeded"
