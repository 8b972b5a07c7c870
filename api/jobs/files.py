"""Where the logs of a job's steps lie: in the home folder while they grow, in storage afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from api.artifacts.storage import Storage
from api.settings import Settings
from workflows.keys import logs_prefix

_LOG = re.compile(r"(?P<step>[A-Za-z0-9_-]+)(?:\.(?P<number>\d+))?\.log")


def log_folder(settings: Settings, job_id: str, attempt: int | None = None) -> Path:
    """Returns the folder in which a job's logs, or those of one attempt, grow."""
    folder = settings.resolved_home() / "logs" / f"job-{job_id}"
    return folder if attempt is None else folder / str(attempt)


def kept_logs(job_id: str, attempt: int) -> str:
    """Returns the prefix under which an attempt's logs are kept in storage."""
    return f"{logs_prefix(job_id)}attempt-{attempt}/"


class LogFile(Protocol):
    """One node's output, readable from any place."""

    @property
    def name(self) -> str:
        """Its file name."""
        ...

    def size(self) -> int:
        """Returns how many bytes there are by now."""
        ...

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yields the bytes from `start` up to, not including, `end`."""
        ...


@dataclass(frozen=True)
class Growing:
    """A log in the home folder."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def size(self) -> int:
        return self.path.stat().st_size

    def read(self, start: int, end: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(start)
            while start < end and (chunk := file.read(min(1 << 18, end - start))):
                start += len(chunk)
                yield chunk


@dataclass(frozen=True)
class Kept:
    """A log in storage."""

    storage: Storage
    uri: str
    name: str
    length: int

    def size(self) -> int:
        return self.length

    def read(self, start: int, end: int) -> Iterator[bytes]:
        return self.storage.open_read(self.uri, start=start, end=end)


def growing(folder: Path, step: str) -> list[LogFile]:
    """Returns a step's logs in a folder, one for each of its nodes, in the order of the tries."""
    return _of_step([Growing(path) for path in folder.glob("*.log")], step) if folder.is_dir() else []


def kept(storage: Storage, job_id: str, attempt: int, step: str) -> list[LogFile]:
    """Returns a step's logs in storage, in the order of the tries."""
    return _of_step(_kept(storage, job_id, attempt), step)


def steps_with_logs(storage: Storage, folder: Path, job_id: str, attempt: int) -> list[str]:
    """Returns the names of the steps that have a log at all."""
    names = [path.name for path in folder.glob("*.log")] if folder.is_dir() else []
    names += [file.name for file in _kept(storage, job_id, attempt)]
    return sorted({match["step"] for name in names if (match := _LOG.fullmatch(name))})


def _kept(storage: Storage, job_id: str, attempt: int) -> list[Kept]:
    return [
        Kept(storage, f.uri, f.name, f.size)
        for f in storage.list(kept_logs(job_id, attempt))
        if f.name.endswith(".log")
    ]


def _of_step(files: Sequence[LogFile], step: str) -> list[LogFile]:
    numbered = [
        (int(match["number"] or 0), file)
        for file in files
        if (match := _LOG.fullmatch(file.name)) and match["step"] == step
    ]
    return [file for _, file in sorted(numbered, key=lambda pair: pair[0])]
