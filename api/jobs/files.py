"""Where the logs of a job's steps lie: in the home folder or in pieces in storage while they grow, whole afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from api.artifacts.storage import Listed
from api.errors import NotFound
from api.settings import Settings
from workflows.keys import logs_prefix

_LOG = re.compile(r"(?P<step>[A-Za-z0-9_-]+)(?:\.(?P<number>\d+))?\.log")
_PIECE = re.compile(r"(?P<log>.+\.log)\.from-(?P<start>\d{12})")


def log_folder(settings: Settings, job_id: str, attempt: int | None = None) -> Path:
    """Returns the folder in which a job's logs, or those of one attempt, grow."""
    folder = settings.resolved_home() / "logs" / f"job-{job_id}"
    return folder if attempt is None else folder / str(attempt)


def kept_logs(job_id: str, attempt: int) -> str:
    """Returns the prefix under which an attempt's logs are kept in storage."""
    return f"{logs_prefix(job_id)}attempt-{attempt}/"


def piece_name(log: str, start: int) -> str:
    """Returns the name of the piece of a growing log that begins with its byte `start`."""
    return f"{log}.from-{start:012d}"


def is_piece(name: str) -> bool:
    """Tells whether an object is a piece of a growing log."""
    return _PIECE.fullmatch(name) is not None


class Shelf(Protocol):
    """What is asked of storage to read a log."""

    def list(self, prefix: str) -> list[Listed]:
        """Lists the objects whose key begins with `prefix`."""
        ...

    def open_read(self, uri: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yields an object's bytes; raises NotFound where there is none."""
        ...


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
class InPieces:
    """A log that grows in storage: pieces, each named by where it begins; the last one is written anew as it grows."""

    storage: Shelf
    name: str
    whole: str
    """The URI under which it will lie as one object: then the pieces go."""
    pieces: tuple[tuple[int, Listed], ...]

    def size(self) -> int:
        end = 0
        for begin, piece in self.pieces:
            if begin <= end:
                end = max(end, begin + piece.size)
        return end

    def read(self, start: int, end: int) -> Iterator[bytes]:
        for begin, piece in self.pieces:
            upto = min(end, begin + piece.size)
            try:
                if begin <= start < upto:
                    for chunk in self.storage.open_read(piece.uri, start=start - begin, end=upto - begin):
                        start += len(chunk)
                        yield chunk
            except NotFound:
                # Since it was listed it has become one object.
                yield from self.storage.open_read(self.whole, start=start, end=end)
                return


@dataclass(frozen=True)
class Kept:
    """A log in storage, whole."""

    storage: Shelf
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


def kept(storage: Shelf, job_id: str, attempt: int, step: str) -> list[LogFile]:
    """Returns a step's logs in storage, in the order of the tries."""
    return _of_step(all_kept(storage, job_id, attempt), step)


def steps_with_logs(storage: Shelf, folder: Path, job_id: str, attempt: int) -> list[str]:
    """Returns the names of the steps that have a log at all."""
    names = [path.name for path in folder.glob("*.log")] if folder.is_dir() else []
    names += [file.name for file in all_kept(storage, job_id, attempt)]
    return sorted({match["step"] for name in names if (match := _LOG.fullmatch(name))})


def all_kept(storage: Shelf, job_id: str, attempt: int) -> list[Kept | InPieces]:
    """Returns an attempt's logs in storage; one that lies there whole counts, whatever is left of its pieces."""
    whole: dict[str, Kept | InPieces] = {}
    pieces: dict[str, list[tuple[int, Listed]]] = {}
    for found in storage.list(kept_logs(job_id, attempt)):
        if found.name.endswith(".log"):
            whole[found.name] = Kept(storage, found.uri, found.name, found.size)
        elif match := _PIECE.fullmatch(found.name):
            pieces.setdefault(match["log"], []).append((int(match["start"]), found))
    for name, parts in pieces.items():
        ordered = tuple(sorted(parts, key=lambda part: part[0]))
        uri = ordered[0][1].uri.removesuffix(ordered[0][1].name) + name
        whole.setdefault(name, InPieces(storage, name, uri, ordered))
    return list(whole.values())


def _of_step(files: Sequence[LogFile], step: str) -> list[LogFile]:
    numbered = [
        (int(match["number"] or 0), file)
        for file in files
        if (match := _LOG.fullmatch(file.name)) and match["step"] == step
    ]
    return [file for _, file in sorted(numbered, key=lambda pair: pair[0])]
