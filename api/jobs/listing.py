"""Reads jobs: one, or pages of them."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.errors import BadRequest, Invalid
from api.jobs import queries, views
from api.jobs.queries import JobFilter
from api.jobs.schemas import JobPage, JobView
from api.jobs.status import SEED_WORDS, State
from api.platform import Platform

_LABEL = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)=(.*)", re.DOTALL)


class ListQuery(BaseModel):
    """What a list of jobs is narrowed down to."""

    model_config = ConfigDict(extra="forbid")

    state: list[str] = Field(default=[], description="only these states; may be given several times")
    project: str | None = None
    framework: str | None = None
    model: str | None = None
    dataset: str | None = Field(None, description="as it was asked for")
    label: list[str] = Field(default=[], description="only jobs with this label, key=value; may be given several times")
    q: str | None = Field(None, max_length=200, description="part of an id, a name, a model or a dataset")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, max_length=200, description="`next_cursor` of the page before")


def list_jobs(platform: Platform, query: ListQuery) -> JobPage:
    """Returns a page of jobs, newest first; raises Invalid or BadRequest for a filter that says nothing."""
    wanted = JobFilter(
        states=[_state(word) for word in query.state],
        project=query.project,
        framework=query.framework,
        model=query.model,
        dataset=query.dataset,
        labels=[_label(text) for text in query.label],
        q=query.q,
        before=_read_cursor(query.cursor) if query.cursor else None,
    )
    with platform.database.read() as session:
        rows = queries.jobs(session, wanted, limit=query.limit + 1)  # one more tells whether there is a next page
        page = rows[: query.limit]
        best = queries.best_checkpoints(session, [job.id for job in page])
    items = [views.summary(job, best.get(job.id)) for job in page]
    last = page[-1] if len(rows) > query.limit else None
    return JobPage(items=items, next_cursor=_cursor(last.created_at, last.id) if last else None)


def get_job(platform: Platform, job_id: str) -> JobView:
    """Returns a job with everything that is known of it; raises NotFound."""
    with platform.database.read() as session:
        return views.detail(
            session, queries.job_by_id(session, job_id), now=platform.clock(), settings=platform.settings
        )


def _state(word: str) -> State:
    lowered = word.strip().lower()
    try:
        return SEED_WORDS.get(lowered) or State(lowered)
    except ValueError:
        raise _wrong("state", f"there is no state {word!r}", f"use one of: {', '.join(State)}") from None


def _label(text: str) -> tuple[str, str]:
    match = _LABEL.fullmatch(text)
    if match is None:
        raise _wrong("label", f"{text!r} is not a label", "write key=value, for example label=team=vision")
    return match[1], match[2]


def _wrong(field: str, message: str, cure: str) -> Invalid:
    problem: dict[str, Any] = {"field": field, "message": message, "cure": cure}
    return Invalid(f"{field}: {message}", cure=cure, errors=[problem])


def _cursor(at: datetime, job_id: str) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()} {job_id}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[datetime, str]:
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        at, _, job_id = plain.partition(" ")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or not job_id:
            raise ValueError(text)
        return moment, job_id
    except (ValueError, binascii.Error):
        raise BadRequest(f"{text!r} is not a cursor", cure="send the next_cursor of a page as it is") from None
