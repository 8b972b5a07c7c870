"""A dry run shows what would run, and nothing else: no record is made, no secret is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.db import Database
from api.platform import Platform
from tests.api.jobs.test_create import JOBS, Body, job_count


def test_a_dry_run_tells_the_plan_and_records_nothing(
    client: TestClient, database: Database, request_body: Body, folder: Path
) -> None:
    answer = client.post(f"{JOBS}?dry_run=true", json=request_body)
    assert answer.status_code == 200
    plan, manifest = answer.json()["plan"], answer.json()["manifest"]
    assert plan["dataset_uri"] == f"file://{folder}/"
    assert plan["spec"]["hyperparameters"]["batch"] == 64
    assert [step["name"] for step in plan["steps"]] == ["download", "convert", "train", "upload", "report"]
    assert manifest["kind"] == "Workflow"
    assert manifest["metadata"]["name"] == plan["workflow_name"]
    assert job_count(database) == 0


def test_a_dry_run_shows_no_password(app: FastAPI, platform: Platform, client: TestClient, request_body: Body) -> None:
    settings = platform.settings.model_copy(
        update={"mlflow_tracking_uri": "https://ann:s3cr3t@mlflow.example/x", "image_tag": "9"}
    )
    app.state.platform = replace(platform, settings=settings)
    answer = client.post(f"{JOBS}?dry_run=true", json=request_body)
    assert answer.status_code == 200
    assert "s3cr3t" not in answer.text
    assert "https://mlflow.example/x" in answer.text
    assert answer.json()["plan"]["steps"]
    assert all(
        ":9" in t["container"]["image"] for t in answer.json()["manifest"]["spec"]["templates"] if "container" in t
    )


def test_a_dry_run_refuses_what_submitting_would_refuse(client: TestClient, request_body: Body) -> None:
    answer = client.post(f"{JOBS}?dry_run=true", json=request_body | {"dataset": "unheard-of"})
    assert (answer.status_code, answer.json()["code"]) == (422, "dataset_unknown")
