"""The chart with PostgreSQL: several replicas, one active reconciler, another where that one is killed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, make_url, text

from api.postgres import understood
from tests import postgres
from tests.charts.helm import find
from tests.cluster.found import missing
from tests.cluster.images import LIGHT
from tests.cluster.release import Release, make_digits, release_in
from tests.cluster.volumes import writable_volumes
from tests.conformance.stage import NODE
from tests.steps.s3 import serving

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

ARGO_SERVER = f"http://{NODE}:2746"
"""The shared cluster's, as pods reach it."""


@contextlib.contextmanager
def database_on_node(folder: Path) -> Iterator[str]:
    """Serves PostgreSQL where pods reach it; yields the address of an empty database."""
    rules = folder / "pg_hba.conf"
    rules.write_text("local all all trust\nhost all all 10.0.0.0/8 trust\n")
    for parent in (rules, *rules.parents[:3]):
        parent.chmod(0o755)  # the server runs as another user
    options = {"listen_addresses": NODE, "hba_file": str(rules)}
    with postgres.private(options) as url:
        server = postgres.Server(url)
        made = make_url(server.create(migrated=False))
        yield made.set(host=NODE, query={}).render_as_string(hide_password=False)
        server.close()


@pytest.fixture(scope="module")
def database(kubectl: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not postgres.found():
        missing(postgres.HINT)
    with database_on_node(tmp_path_factory.mktemp("rules")) as url:
        yield url


@pytest.fixture(scope="module")
def release(
    kubectl: list[str], images: Callable[..., None], database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """Two replicas of the API and two of the reconciler."""
    if find() is None:
        missing("helm is not installed")
    images(*LIGHT)
    values = {
        "records.backend": "postgresql",
        "records.postgresql.existingSecret": "database",
        "api.replicas": 2,
        "reconciler.replicas": 2,
        "settings.reconciler_lease": 5,
        # Submitted through an Argo Server where pods reach one; in test_chart.py through the Kubernetes API.
        "argo.server.url": ARGO_SERVER if answers(ARGO_SERVER) else "",
    }
    with (
        serving(tmp_path_factory.mktemp("s3"), address=NODE) as storage,
        writable_volumes(),
        release_in(kubectl, storage, values) as made,
    ):
        made.do("create", "secret", "generic", "database", f"--from-literal=url={database}")
        made.install()
        yield made


def answers(url: str) -> bool:
    """Whether an Argo Server is there."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/api/v1/version", timeout=2).is_success
    return False


def holder(database: str) -> str:
    """The pod that holds the reconciler's lease."""
    engine = create_engine(understood(database))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT holder FROM leases WHERE name = 'reconciler'")).scalar_one()
    engine.dispose()
    return str(found).partition("/")[0]


def slow(epochs: int) -> dict[str, Any]:
    """A job whose every epoch takes a second."""
    return {
        "framework": "toy", "model": "softmax", "dataset": "digits",
        "hyperparameters": {"epochs": epochs}, "advanced_config": {"epoch_seconds": 1.0},
        "resources": {"gpu": 0, "cpu": "100m", "memory": "512Mi", "shared_memory": "16Mi", "workspace": "1Gi"},
    }  # fmt: skip


def test_all_replicas_are_ready_and_one_reconciler_is_active(release: Release, database: str) -> None:
    assert len(release.pods("api")) == 2
    names = {pod["metadata"]["name"] for pod in release.pods("reconciler")}
    assert len(names) == 2
    assert holder(database) in names
    checks = release.read("/ready")["checks"]
    assert all(check["ok"] for check in checks.values()), checks


@pytest.mark.argo
def test_the_standby_takes_over_and_the_job_succeeds(
    release: Release, database: str, argo: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    release.add_dataset(make_digits(tmp_path_factory.mktemp("data") / "digits"), "digits")
    job_id = release.submit(slow(40))
    release.until(job_id, lambda job: (job["epoch"] or 0) >= 2)
    active = holder(database)
    release.do("delete", "pod", active, "--grace-period=0", "--force")
    deadline = time.monotonic() + 60
    while holder(database) == active:
        assert time.monotonic() < deadline, "nobody took over"
        time.sleep(0.5)
    job = release.ended(job_id)
    assert (job["state"], job["reason"], job["epoch"]) == ("succeeded", "completed", 40)


ASKS = """
import sys, time, urllib.request
failed, end = [], time.monotonic() + 15
while time.monotonic() < end:
    try:
        urllib.request.urlopen(sys.argv[1] + "/health", timeout=5).read()
    except OSError as error:
        failed.append(str(error))
print(len(failed), failed[:3])
"""


def test_a_replica_that_goes_is_not_missed(release: Release) -> None:
    (first, _), (beside, *_) = release.pods("api"), release.pods("reconciler")
    url = f"http://tiphys.{release.namespace}.svc:8137"
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(release.do, "exec", beside["metadata"]["name"], "--", "python", "-c", ASKS, url)
        release.do("delete", "pod", first["metadata"]["name"])
        assert asking.result() == "0 []\n"
