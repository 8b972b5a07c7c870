"""Tells a job's moves, events and heartbeats as server-sent events, resumable from any point."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

from anyio.to_thread import run_sync
from pydantic import BaseModel

from api.errors import BadRequest
from api.jobs import queries, views
from api.jobs.schemas import EventView, JobSummary
from api.jobs.status import TERMINAL
from api.models import Event, Heartbeat, Job
from api.platform import Platform

POLL_SECONDS = 0.5
"""How often the records are looked at where nobody rings for what other processes write."""
QUIET_SECONDS = 10.0
"""After how much silence a comment is sent, so that both sides know the line stands."""
BATCH = 200
"""Rows read at a time."""

_CURSOR = re.compile(r"(\d{1,18})-(\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class Cursor:
    """How far a stream was told: the last event's id and the last heartbeat's number."""

    event: int = 0
    heartbeat: int = 0

    def __str__(self) -> str:
        return f"{self.event}-{self.heartbeat}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Reads a Last-Event-ID; raises BadRequest."""
        match = _CURSOR.fullmatch(text.strip())
        if match is None:
            raise BadRequest(f"{text!r} is not a Last-Event-ID of this stream", cure="leave it out to hear everything")
        return cls(int(match[1]), int(match[2]))


class StateMessage(EventView):
    """A move of the job, with the job as it stands now."""

    job: JobSummary


class EndMessage(BaseModel):
    """The last word of a stream."""

    state: str
    reason: str | None


@dataclass(frozen=True)
class Look:
    """What one look at the records found."""

    messages: tuple[tuple[Cursor, str, str], ...]
    """Cursor after it, event name, JSON."""
    cursor: Cursor
    more: bool
    end: EndMessage | None


def start_cursor(platform: Platform, job_id: str, *, last_event_id: str | None, from_now: bool) -> Cursor:
    """Returns where a stream begins; raises NotFound for an unknown job, BadRequest for a malformed id."""
    with platform.database.read() as session:
        queries.job_by_id(session, job_id)
        pulse = queries.pulse(session, job_id)
    if last_event_id:
        return Cursor.parse(last_event_id)
    return Cursor(pulse.event, pulse.heartbeat) if from_now and pulse else Cursor()


async def follow(platform: Platform, job_id: str, cursor: Cursor) -> AsyncIterator[bytes]:
    """Yields server-sent events from behind a cursor until the job has ended and all was told."""
    loop = asyncio.get_running_loop()
    spoke = loop.time()
    yield b"retry: 2000\n\n"
    while True:
        look = await run_sync(_look, platform, job_id, cursor)
        if look.messages:
            yield b"".join(_message(name, data, at) for at, name, data in look.messages)
            spoke = loop.time()
        cursor = look.cursor
        if look.end is not None:
            yield _message("end", look.end.model_dump_json(), cursor)
            return
        if look.more:
            continue
        if platform.wake.closed:
            return
        if loop.time() - spoke >= QUIET_SECONDS:
            yield b": still here\n\n"
            spoke = loop.time()
        await platform.wake.wait(job_id, seconds=QUIET_SECONDS if platform.wake.attended else POLL_SECONDS)


def _look(platform: Platform, job_id: str, cursor: Cursor) -> Look:
    with platform.database.read() as session:
        # How it stands first: whatever was written before it ended is found by the reads after this one.
        pulse = queries.pulse(session, job_id)
        if pulse is None:
            return Look((), cursor, more=False, end=EndMessage(state="deleted", reason=None))
        over = pulse.closed and pulse.state in TERMINAL
        if pulse.event <= cursor.event and pulse.heartbeat <= cursor.heartbeat:
            end = EndMessage(state=pulse.state, reason=pulse.reason) if over else None
            return Look((), cursor, more=False, end=end)
        events = queries.events(session, job_id, after=cursor.event, limit=BATCH)
        beats = queries.heartbeats(session, job_id, after=cursor.heartbeat, limit=BATCH)
        job = None
        if any(event.kind == "state" for event in events):
            found = session.get(Job, job_id)
            job = found and views.summary(found, queries.best_checkpoints(session, [job_id]).get(job_id))
    messages = []
    for row in _in_order(events, beats):
        if isinstance(row, Event):
            cursor = replace(cursor, event=row.id)
            view = EventView.model_validate(row)
            if row.kind == "state" and job is not None:
                messages.append((cursor, "state", StateMessage(**dict(view), job=job).model_dump_json()))
            else:
                messages.append((cursor, "event", view.model_dump_json()))
        else:
            cursor = replace(cursor, heartbeat=row.seq)
            messages.append((cursor, "heartbeat", views.heartbeat(row).model_dump_json()))
    more = over or len(events) == BATCH or len(beats) == BATCH
    return Look(tuple(messages), cursor, more=more, end=None)


def _in_order(events: list[Event], beats: list[Heartbeat]) -> list[Event | Heartbeat]:
    """Merges by time; each kind keeps the order of its numbers, for the cursor counts numbers and not moments."""
    # Of a full batch more is to come: what the other kind has from a later moment waits for the next look.
    limits = [e.created_at for e in events[BATCH - 1 :]] + [b.received_at for b in beats[BATCH - 1 :]]
    limit = min(limits, default=None)
    merged: list[Event | Heartbeat] = []
    left, right = deque(events), deque(beats)
    while left or right:
        if left and (not right or left[0].created_at <= right[0].received_at):
            row: Event | Heartbeat = left.popleft()
        else:
            row = right.popleft()
        if limit is not None and merged and _moment(row) > limit:
            break
        merged.append(row)
    return merged


def _moment(row: Event | Heartbeat) -> datetime:
    return row.created_at if isinstance(row, Event) else row.received_at


def _message(name: str, data: str, at: Cursor) -> bytes:
    return f"id: {at}\nevent: {name}\ndata: {data}\n\n".encode()
