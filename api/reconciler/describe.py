"""Writes how a job stands where people look at its workflow: of epochs, Argo's own pages show no more than a bar."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from api.jobs.status import TERMINAL, State
from api.models import Attempt, Job
from api.reconciler.load import OpenAttempt
from api.reconciler.tools import Tools
from workflows.engine import Described, EngineError, EngineUnavailable

EVERY = timedelta(seconds=60)
"""How often at most: each time is a write to the cluster, and an epoch may take a second."""
DESCRIPTION = "workflows.argoproj.io/description"

log = logging.getLogger("tiphys.reconciler")


class Descriptions:
    """Remembers what was written last of each workflow; forgotten, it is written once more."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, datetime]] = {}
        self._not_before: datetime | None = None

    def look(self, tools: Tools, attempt: OpenAttempt, *, now: datetime, at_once: bool = False) -> None:
        """Writes a job's newest line, if it is due and another than the last; trouble with it is nobody's trouble."""
        told, at = self._told.get(attempt.name, ("", None))
        if not isinstance(tools.engine, Described) or (at is not None and not at_once and now - at < EVERY):
            return
        if self._not_before is not None and now < self._not_before:
            return
        with tools.database.read() as session:
            job = session.get(Job, attempt.job_id)
            row = session.get(Attempt, (attempt.job_id, attempt.number))
            if job is None or row is None or not attempt.current:
                return
            line, below = line_of(job), _description(row.manifest)
        try:
            if line and line != told:
                tools.engine.describe(attempt.name, f"**{line}**\n\n{below}" if below else f"**{line}**")
                told = line
        except EngineError as error:
            log.info("%s was not described: %s", attempt.name, error.message)
            if isinstance(error, EngineUnavailable):
                self._not_before = now + EVERY  # each would wait for its whole timeout
        self._told[attempt.name] = (told, now)

    def keep_only(self, names: set[str]) -> None:
        """Forgets the workflows that are not followed any more."""
        self._told = {name: told for name, told in self._told.items() if name in names}


def line_of(job: Job) -> str:
    """Returns one line for people: `epoch 7/50 · val/mAP50 0.61`, or how the job ended."""
    if State(job.state) in TERMINAL:
        return f"{job.state}: {job.message or job.reason}"
    if job.epoch is None:
        return ""
    of = f"/{job.total_epochs}" if job.total_epochs else ""
    name = (job.spec.get("primary_metric") or {}).get("name")
    value = (job.metrics or {}).get(name) if name else None
    metric = f" · {name} {value:.4g}" if isinstance(value, int | float) else ""
    return f"epoch {job.epoch}{of}{metric}"


def _description(manifest: Mapping[str, Any] | None) -> str:
    return str(((manifest or {}).get("metadata", {}).get("annotations") or {}).get(DESCRIPTION) or "")
