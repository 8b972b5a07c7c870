"""A script of one's own hands its workflow to an Argo Server: no platform, no callbacks, the same steps."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conformance.stage import DATASET, Stage
from tests.e2e.conftest import REPO

pytestmark = [pytest.mark.argo, pytest.mark.timeout(600)]

SCRIPT = """
from workflows import JobSpec, Run, main, training_workflow

SPEC = JobSpec.from_mapping({
    "framework": "toy", "model": "softmax", "dataset": "tiny", "hyperparameters": {"epochs": 3},
    "resources": {"gpu": 0, "cpu": 0.1, "memory": "256Mi", "workspace": "1Gi"},
})

def plan(storage, dataset_uri):
    return training_workflow(SPEC, Run(job_id="scrpt234", trace_id="5" * 32, dataset_uri=dataset_uri, storage=storage))

raise SystemExit(main(plan, dataset=SPEC.dataset))
"""


def test_a_script_trains_in_the_cluster(cluster_stage: Stage, argo: str, tmp_path: Path) -> None:
    namespace, environment = cluster_stage.namespace, cluster_stage.platform.environment
    assert namespace is not None
    name = "train-scrpt234-1"
    keys = {
        "AWS_ACCESS_KEY_ID": environment["TIPHYS_STORAGE_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": environment["TIPHYS_STORAGE_SECRET_KEY"],
    }
    namespace.post(namespace.client.secrets(), {"metadata": {"name": name}, "stringData": keys})
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    place = ["--namespace", namespace.name, "--service-account", "workflow", "--bucket", "bucket"]
    storage = ["--endpoint", environment["TIPHYS_STORAGE_ENDPOINT"], "--dataset", DATASET]
    token = namespace.admin.token()
    done = subprocess.run(
        [sys.executable, script, "--argo", argo, *place, *storage],
        capture_output=True, text=True, cwd=REPO, env={**os.environ, "ARGO_TOKEN": str(token)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, name), done.stderr
    deadline = time.monotonic() + 400
    while True:
        found = namespace.client.call("GET", namespace.client.workflows(name), what="look").json()
        phase = found.get("status", {}).get("phase")
        if phase in ("Succeeded", "Failed", "Error"):
            break
        assert time.monotonic() < deadline, found.get("status")
        time.sleep(0.5)
    assert phase == "Succeeded", found["status"]
    told = {
        f"{node['templateName']}.{item['name']}": item["value"]
        for node in found["status"]["nodes"].values()
        for item in node.get("outputs", {}).get("parameters", [])
    }
    assert told["train.epochs"] == "3"
    uri = told["upload.checkpoint_uri"]
    assert (cluster_stage.storage / uri.removeprefix("s3://bucket/")).is_file()
