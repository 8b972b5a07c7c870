"""Tells what a job would be, without recording it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.jobs.dataset import choose
from api.jobs.schemas import DryRun, Plan
from api.jobs.steps import steps_of
from api.platform import Platform
from workflows.keys import new_job_id, new_trace_id, workflow_name
from workflows.spec import JobSpec


def dry_run(platform: Platform, request: Mapping[str, Any]) -> DryRun:
    """Returns the plan and the manifest of a job; raises what creating it would raise."""
    # Hera costs 30 MB and a third of a second: an API that only records jobs never loads it.
    from workflows.attempt import Run
    from workflows.manifest import build
    from workflows.training import training_workflow

    chosen = choose(platform.database, platform.storage, JobSpec.from_mapping(request).resolved())
    spec, uri = chosen.spec, chosen.uri
    settings, job_id = platform.settings, new_job_id()
    run = Run(
        job_id=job_id,
        trace_id=new_trace_id(),
        dataset_uri=uri,
        snapshot_id=chosen.snapshot_id,
        backend_url=settings.api_url(),
        job_url=settings.job_page(job_id),
        user=(spec.labels or {}).get("user"),
        **settings.of_workflows(),
    )
    manifest = build(training_workflow(spec, run))
    plan = Plan(
        spec=spec.to_mapping(),
        dataset=spec.dataset,
        dataset_uri=uri,
        workflow_name=workflow_name(job_id, 1),
        steps=steps_of(manifest, None),
    )
    return DryRun(plan=plan, manifest=manifest)
