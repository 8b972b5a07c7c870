"""What is known of an object in storage, and how a failed write is told."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from api.errors import StorageFull, Unavailable

CHUNK_BYTES = 1 << 20
"""Bytes read or written at a time."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True)
class Stored:
    """An object as it was written."""

    uri: str
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Listed:
    """An object found under a prefix."""

    name: str
    """What follows the prefix."""
    uri: str
    size: int


@contextmanager
def told_as_problem(what: str) -> Iterator[None]:
    """Turns an operating system's refusal into an error a person can act on."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(
                f"no room left for {what} ({error.strerror})",
                cure="free some space: delete datasets or ended jobs that are no longer needed, and try again",
            ) from error
        raise Unavailable(
            f"storage cannot take {what}: {error.strerror or error}",
            cure="check that the storage folder exists and may be written by the platform's user",
        ) from error
