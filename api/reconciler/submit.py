"""Hands pending jobs to the engine: the record first, then the workflow, whose name makes a second time harmless."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from api.jobs.status import Reason, State, move
from api.models import Attempt, Job, Snapshot
from api.reconciler.causes import with_cure
from api.reconciler.places import certain, same
from api.reconciler.tools import Tools, note
from workflows.engine import EngineRefused, EngineUnavailable
from workflows.keys import workflow_name
from workflows.quantities import Duration

QUEUE_ALLOWANCE = timedelta(days=7)
"""How long a job may wait in the engine before its token would expire within its time limit."""
DEFAULT_TOTAL = "7d"

Build = Callable[[Tools, "Wanted"], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """All of a job that its manifest is made of."""

    job_id: str
    number: int
    trace_id: str
    spec: Mapping[str, Any]
    dataset_uri: str
    resume: bool
    snapshot_id: str | None
    version_hash: str | None
    manifest: dict[str, Any] | None
    """The one made before, where a crash came between record and workflow."""
    place: str | None
    """Where it may have been handed to then."""


def submit(tools: Tools, job_id: str, number: int, *, build: Build) -> bool:
    """Submits a pending job's attempt; returns False where it is not to be submitted any more.

    Raises:
        EngineUnavailable: the job stays pending and is to be tried again.
    """
    wanted = _wanted(tools, job_id, number)
    if wanted is None:
        return False
    # Asked for anew after each slow step: compiling the first job takes a second, an engine may take many.
    clock = tools.clock
    manifest, fresh = wanted.manifest, wanted.manifest is None
    if not (same(wanted.place, tools.engine.place) and certain(wanted.place, tools.engine.place)):
        return False
    try:
        if manifest is None or wanted.place is None:
            manifest = manifest or build(tools, wanted)
            if not _record(tools, wanted, manifest, now=clock()):
                return False
        tools.engine.submit(manifest, secrets=_secrets(tools, wanted, now=clock()))
    except EngineUnavailable as error:
        # A namespace that was mistyped may be put right; one that may have got the workflow is stayed with.
        if error.untouched and fresh:
            _forget(tools, wanted)
        raise
    except EngineRefused as error:
        _refuse(tools, wanted, f"The engine refused the workflow: {error.message}", now=clock())
        return True
    except NotBuilt as error:
        _refuse(tools, wanted, str(error), now=clock())
        return True
    _submitted(tools, wanted, now=clock())
    return True


class NotBuilt(Exception):
    """No workflow can be made of this job; the text names the thing and the cure."""


def build_manifest(tools: Tools, wanted: Wanted) -> dict[str, Any]:
    """Compiles a job into its workflow manifest; raises NotBuilt."""
    # Hera costs 30 MB and half a second: a reconciler without a job to submit does without.
    from workflows.manifest import ManifestError, build
    from workflows.spec import JobSpec, SpecError
    from workflows.training import Run, training_workflow

    settings = tools.settings
    url = settings.api_url()
    try:
        run = Run(
            job_id=wanted.job_id,
            attempt=wanted.number,
            trace_id=wanted.trace_id,
            dataset_uri=wanted.dataset_uri,
            backend_url=url,
            resume=wanted.resume,
            snapshot_id=wanted.snapshot_id,
            dataset_version_hash=wanted.version_hash,
            user=(wanted.spec.get("labels") or {}).get("user"),
            job_url=settings.job_page(wanted.job_id),
            **settings.of_workflows(),
        )
        return build(training_workflow(JobSpec.from_mapping(wanted.spec), run))
    except (SpecError, ManifestError, ValueError) as error:
        # The list of problems becomes one line: a job's message is shown in tables.
        raise NotBuilt(f"No workflow can be made of this job: {' '.join(str(error).split())}") from error


def unavailable(tools: Tools, job_id: str, number: int, message: str, *, now: datetime) -> None:
    """Warns once that the engine cannot take a job at the moment."""
    with tools.database.write() as session:
        job = session.get(Job, job_id)
        if job is not None and job.attempt == number and job.state == State.PENDING:
            text = f"The engine cannot take the job now: {message}. It stays pending and is tried again."
            # Each cause once: its numbers change from try to try, and another cause is news.
            cause = sha256(re.sub(r"\d+", "", message).encode()).hexdigest()[:16]
            note(session, job_id, number, "engine_unavailable", text, at=now, key=f"engine_unavailable:{cause}")


def _wanted(tools: Tools, job_id: str, number: int) -> Wanted | None:
    with tools.database.read() as session:
        job = session.get(Job, job_id)
        if job is None or job.attempt != number or job.state != State.PENDING or not job.start:
            return None
        row = session.get(Attempt, (job_id, number))
        snapshot = session.get(Snapshot, job.snapshot_id) if job.snapshot_id else None
        return Wanted(
            job_id=job_id,
            number=number,
            trace_id=job.trace_id,
            spec=job.spec,
            dataset_uri=job.dataset_uri,
            resume=row.resume if row is not None else number > 1,
            # The same data is trained again: what changed since is an error of the convert step, not a surprise.
            snapshot_id=snapshot.id if snapshot else None,
            version_hash=snapshot.version_hash if snapshot else None,
            manifest=row.manifest if row is not None else None,
            place=row.place if row is not None else None,
        )


def _record(tools: Tools, wanted: Wanted, manifest: dict[str, Any], *, now: datetime) -> bool:
    with tools.database.write() as session:
        job = session.get(Job, wanted.job_id)
        if job is None or job.attempt != wanted.number or job.state != State.PENDING:
            return False
        row = session.get(Attempt, (wanted.job_id, wanted.number))
        if row is None:
            name = workflow_name(wanted.job_id, wanted.number)
            row = Attempt(job_id=job.id, number=wanted.number, workflow_name=name, resume=wanted.resume, created_at=now)
            session.add(row)
        row.manifest, row.place = manifest, tools.engine.place
    return True


def _forget(tools: Tools, wanted: Wanted) -> None:
    """Makes an attempt one that was never tried: its manifest is made anew, for the settings of then."""
    with tools.database.write() as session:
        row = session.get(Attempt, (wanted.job_id, wanted.number))
        if row is not None:
            row.place = row.manifest = None


def _secrets(tools: Tools, wanted: Wanted, *, now: datetime) -> dict[str, str]:
    # Brings jwt and the web framework along: only needed once there is a job.
    from api.auth import issue_job_token

    limits = wanted.spec.get("limits") or {}
    total = timedelta(seconds=Duration(limits.get("total") or DEFAULT_TOTAL).seconds)
    token = issue_job_token(tools.settings, wanted.job_id, wanted.number, now + total + QUEUE_ALLOWANCE, issued_at=now)
    _, login = tools.settings.mlflow()
    return {"CALLBACK_TOKEN": token, **login, **tools.settings.storage_secrets()}


def _submitted(tools: Tools, wanted: Wanted, *, now: datetime) -> None:
    with tools.database.write() as session:
        job = session.get(Job, wanted.job_id)
        row = session.get(Attempt, (wanted.job_id, wanted.number))
        if row is not None:
            row.submitted_at = row.submitted_at or now
        # Cancelled meanwhile: the attempt stays open, and the next look ends its workflow.
        if job is not None and job.attempt == wanted.number and job.state == State.PENDING:
            move(session, job, State.QUEUED, reason=Reason.SUBMITTED, message="Handed to the engine.", at=now)


def _refuse(tools: Tools, wanted: Wanted, message: str, *, now: datetime) -> None:
    with tools.database.write() as session:
        job = session.get(Job, wanted.job_id)
        if job is None or job.attempt != wanted.number or job.state != State.PENDING:
            return
        row = session.get(Attempt, (wanted.job_id, wanted.number))
        if row is None:
            name = workflow_name(wanted.job_id, wanted.number)
            row = Attempt(job_id=job.id, number=wanted.number, workflow_name=name, resume=wanted.resume, created_at=now)
            session.add(row)
            session.flush()
        row.closed = True
        move(session, job, State.FAILED, reason=Reason.REFUSED, message=with_cure(message, Reason.REFUSED), at=now)
