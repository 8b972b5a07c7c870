"""Each scenario on each engine: state, reason and cause as told, and one record for both, pinned in records/."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conformance.on_argo import ONLY
from tests.conformance.record import record_of, tries
from tests.conformance.recording import FOLDER, Recorder
from tests.conformance.scenarios import BOTH, Scenario
from tests.conformance.stage import Stage

RECORDS = Path(__file__).parent / "records"


def ends_as_told(stage: Stage, scenario: Scenario) -> str:
    """Plays a scenario; returns the job's id."""
    job_id = stage.submit(dict(scenario.job))
    try:
        if scenario.deed is not None:
            scenario.deed(stage, job_id)
        job = stage.ended(job_id, seconds=scenario.seconds)
    finally:
        if scenario.undo is not None:
            scenario.undo(stage, job_id)
    assert (job["state"], job["reason"]) == (scenario.state, scenario.reason), job["message"]
    assert scenario.says in job["message"]
    assert scenario.tries in (None, tries(job))
    return job_id


def recorded(recorder: Recorder | None, stage: Stage, scenario: Scenario, job_id: str) -> str:
    """Keeps the trace of a job that ended as told; returns the job's id."""
    if recorder is not None and scenario.replayed:
        recorder.keep(stage.workflow(job_id), Path(os.environ[FOLDER]) / f"{scenario.name}.jsonl.gz")
    return job_id


def check(stage: Stage, scenario: Scenario, recorder: Recorder | None = None) -> None:
    record = record_of(stage, recorded(recorder, stage, scenario, ends_as_told(stage, scenario)))
    if scenario.epochs is not None:
        assert tuple(record["epochs"]) == scenario.epochs
    else:
        del record["epochs"]
    for step in scenario.apart:
        record["steps"].pop(step, None)
    if scenario.apart:
        # The exit handler tells what it finds, if it is let run.
        record["trainer"] = [told for told in record["trainer"] if told not in ("done", "error")]
    pinned = RECORDS / f"{scenario.name}.json"
    if os.environ.get("UPDATE_GOLDEN") and stage.engine == "local":
        pinned.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    assert record == json.loads(pinned.read_text())


@pytest.mark.e2e
@pytest.mark.parametrize("scenario", BOTH, ids=lambda scenario: scenario.name)
def test_on_this_machine(local: Stage, scenario: Scenario) -> None:
    check(local, scenario)


@pytest.mark.argo
@pytest.mark.parametrize("scenario", BOTH, ids=lambda scenario: scenario.name)
def test_on_argo(cluster_stage: Stage, recorder: Recorder | None, scenario: Scenario) -> None:
    check(cluster_stage, scenario, recorder)


@pytest.mark.argo
@pytest.mark.parametrize("scenario", ONLY, ids=lambda scenario: scenario.name)
def test_what_only_a_cluster_does(cluster_stage: Stage, recorder: Recorder | None, scenario: Scenario) -> None:
    job_id = recorded(recorder, cluster_stage, scenario, ends_as_told(cluster_stage, scenario))
    record = record_of(cluster_stage, job_id)
    if scenario.epochs is not None:
        assert tuple(record["epochs"]) == scenario.epochs
    assert scenario.state != "failed" or "Cure: " in record["message"]
