"""What a task's end does to the records: its own row, and the dataset's where the task found out something of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from api.datasets import queries
from api.datasets.findings import KEPT, cure_of, first_error, shortened
from api.datasets.program import ProgramFailed
from api.models import Dataset, DatasetTask


@dataclass(kw_only=True)
class Outcome:
    """How a task ended."""

    state: str
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    adopted: str | None = None
    """Where the platform put the repaired copy that takes the dataset's place."""


def judged(kind: str, code: int, result: dict[str, Any], *, dataset_id: str) -> Outcome:
    """Returns the outcome of a command that printed a result; what is wrong with a dataset is what a check is for."""
    told = _told(result)
    own = {"fix": "fixes", "diff": "same", "show": "classes"}.get(kind)
    # A command that could not begin printed what is wrong in place of its own result.
    if code == 0 or kind == "check" or (own is not None and own in result):
        return Outcome(state="succeeded", result=told)
    cure = cure_of(result, f"see all of it: tiphys dataset check {dataset_id}")  # which offers a repair if there is one
    return failed("dataset_error", first_error(result), cure, result=told)


def failed(code: str, message: str, cure: str, *, result: dict[str, Any] | None = None) -> Outcome:
    """Returns the outcome of a task that did not come to its end."""
    return Outcome(state="failed", result=result, error={"code": code, "message": message, "cure": cure})


def record(session: Session, task: DatasetTask, dataset: Dataset, outcome: Outcome, *, uri: str, at: datetime) -> None:
    """Writes a task's end; raises ProgramFailed where the dataset is another one by now."""
    if outcome.state == "succeeded":
        if dataset.uri != uri:
            raise ProgramFailed("replaced", f"dataset {dataset.id!r} was replaced meanwhile", cure="try again")
        if task.kind == "check" and outcome.result is not None:
            _seen(dataset, outcome.result, at)
        elif task.kind == "split" and task.options.get("save"):
            dataset.split = task.options.get("split")
        elif outcome.adopted is not None and outcome.result is not None:
            if dataset.source == "repaired" and (jobs := queries.unfinished_jobs(session, dataset)):
                raise ProgramFailed("in_use", f"job {jobs[0]} trains on what it would replace", cure="wait for its end")
            dataset.origin = dataset.origin or dataset.uri
            dataset.uri, dataset.source = outcome.adopted, "repaired"
            _seen(dataset, outcome.result.get("report") or {}, at)
    task.state, task.result, task.error, task.outputs = outcome.state, outcome.result, outcome.error, outcome.outputs
    task.finished_at = at
    if task.progress:
        whole = {"done": task.progress["total"]} if outcome.state == "succeeded" else {}
        task.progress = {**task.progress, **whole, "rate": None, "bytes_rate": None, "eta_seconds": None}


def _seen(dataset: Dataset, report: Mapping[str, Any], at: datetime) -> None:
    dataset.check_report, dataset.checked_at = dict(report), at
    dataset.layout, dataset.task, dataset.classes = report.get("layout"), report.get("task"), report.get("classes")
    dataset.counts, dataset.version_hash = report.get("counts"), report.get("dataset_version_hash")


def _told(result: dict[str, Any]) -> dict[str, Any]:
    told = {name: value for name, value in result.items() if name != "ids"}  # a split's file has them
    if isinstance(told.get("report"), dict):  # of what a repair made
        told["report"] = shortened(told["report"])
    if isinstance(told.get("left"), list):
        told["left"] = told["left"][:KEPT]
    return shortened(told) if "errors" in told else told
