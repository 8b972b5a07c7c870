"""Reads a step's output: the last lines without loading the rest, and what is appended while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from anyio.to_thread import run_sync
from starlette.concurrency import iterate_in_threadpool

from api.errors import NotFound
from api.jobs import files, queries
from api.jobs.files import LogFile
from api.models import Attempt
from api.platform import Platform

BLOCK_BYTES = 1 << 16
FOLLOW_SECONDS = 0.5
"""How often a followed log is looked at."""
FOLLOW_STORAGE_SECONDS = 2.0
"""How often one that grows in storage is: each look is a request, and it grows every few seconds at most."""


@dataclass
class Position:
    """How far a step's logs were read: all files before `file`, and `offset` bytes of it."""

    file: int
    offset: int


class LogView:
    """The output of one step of one attempt, all its tries one after the other."""

    def __init__(self, platform: Platform, job_id: str, attempt: int, step: str) -> None:
        self.platform = platform
        self.job_id = job_id
        self.attempt = attempt
        self.step = step
        self.folder = files.log_folder(platform.settings, job_id, attempt)
        # Of several processes one brings the logs: all others find them in storage alone.
        self.in_storage = platform.settings.shared

    def files(self) -> list[LogFile]:
        """Returns the files there are by now; those in storage where the home folder has none any more."""
        return self._growing() or files.kept(self.platform.storage, self.job_id, self.attempt, self.step)

    def _growing(self) -> list[LogFile]:
        if self.in_storage:
            return files.kept(self.platform.storage, self.job_id, self.attempt, self.step)
        return files.growing(self.folder, self.step)

    def read(self, found: Sequence[LogFile], at: Position) -> Iterator[bytes]:
        """Yields what lies behind a position up to the present end, and moves the position along."""
        while at.file < len(found):
            for chunk in found[at.file].read(at.offset, found[at.file].size()):
                at.offset += len(chunk)
                yield chunk
            if at.file == len(found) - 1:
                return
            at.file, at.offset = at.file + 1, 0

    async def follow(self, at: Position, *, kept: Sequence[LogFile]) -> AsyncIterator[bytes]:
        """Yields what lies behind a position and what is appended, until the attempt is closed and all was told."""
        if kept and not self.in_storage and not isinstance(kept[0], files.Growing):
            # It lies in storage: the attempt has ended, and nothing is appended any more.
            async for piece in iterate_in_threadpool(self.read(kept, at)):
                yield piece
            return
        while True:
            # In this order: whatever was written before it closed is read after it was seen to be closed.
            closed = await run_sync(self._closed)
            pieces = await run_sync(self._grown, at)
            while pieces:
                for piece in pieces:
                    yield piece
                pieces = await run_sync(self._grown, at)
            if closed or self.platform.wake.closed:
                return
            if self.in_storage:
                # Not at every news of the job: what rings is a heartbeat, and nothing has come to storage by it.
                await self.platform.wake.wait(f"logs of {self.job_id}", seconds=FOLLOW_STORAGE_SECONDS)
            else:
                await self.platform.wake.wait(self.job_id, seconds=FOLLOW_SECONDS)

    def _grown(self, at: Position, *, most: int = 1 << 22) -> list[bytes]:
        """Returns the next few megabytes: a slow client must not make us hold a whole log."""
        pieces: list[bytes] = []
        size = 0
        found = self._growing()
        for piece in self.read(found, at):
            pieces.append(piece)
            size += len(piece)
            if size >= most:
                break
        return pieces

    def _closed(self) -> bool:
        with self.platform.database.read() as session:
            attempt = session.get(Attempt, (self.job_id, self.attempt))
            return attempt is None or attempt.closed


def open_log(platform: Platform, job_id: str, *, step: str, attempt: int | None, must_exist: bool) -> LogView:
    """Returns a step's log, empty where the step has said nothing yet; raises NotFound for no such job or attempt.

    With `must_exist` a step that the attempt's workflow does not have and that left no log is not found either.
    """
    with platform.database.read() as session:
        job = queries.job_by_id(session, job_id)
        found = queries.attempt_of(session, job, attempt)
        number, known = found.number, _steps(found)
    view = LogView(platform, job_id, number, step)
    if must_exist and step not in known and not view.files():
        steps = files.steps_with_logs(platform.storage, view.folder, job_id, number)
        cure = (
            f"there are logs of: {', '.join(steps)}" if steps else "nothing has run yet; wait for it with follow=true"
        )
        raise NotFound(f"step {step!r} of job {job_id}, attempt {number}, has no log", cure=cure)
    return view


def _steps(attempt: Attempt) -> set[str]:
    templates = ((attempt.manifest or {}).get("spec") or {}).get("templates") or ()
    return {template["name"] for template in templates if "container" in template}


def tail_position(found: Sequence[LogFile], lines: int) -> Position:
    """Returns where the last `lines` lines begin, reading backwards no more than it has to."""
    missing = lines
    for number in range(len(found) - 1, -1, -1):
        size = found[number].size()
        if missing <= 0:
            return Position(number, size)
        offset, counted = _last_lines(found[number], size, missing)
        missing -= counted
        if missing <= 0:
            return Position(number, offset)
    return Position(0, 0)


def _last_lines(file: LogFile, size: int, lines: int) -> tuple[int, int]:
    """Returns where the last lines of a file begin, and how many there are, at most `lines`."""
    end, counted, at_end = size, 0, True
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        block = b"".join(file.read(start, end))
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            if at_end and start + at == size - 1:
                at_end = False  # the newline that ends the last line begins none
                continue
            counted += 1
            if counted == lines:
                return start + at + 1, counted
        end = start
    return 0, counted + (1 if size else 0)
