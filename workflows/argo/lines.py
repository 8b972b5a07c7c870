"""Cuts a pod's log, whose lines carry the moment they were written, into bytes without the moments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

# Argo's executor writes into the log of the process it starts: it is not the user's, nor of use to them.
_VALUE = rb'(?:"(?:[^"\\]|\\.)*"|\S*)'
_EXECUTOR = re.compile(rb"time=%b level=\w+ msg=%b(?: [\w.]+=%b)* argo=true(?: [\w.]+=%b)*\s*" % ((_VALUE,) * 4))


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """When a line was written, to the nanosecond; `nth` counts the lines of the same moment from 0."""

    second: int
    nanosecond: int
    nth: int = 0

    def since(self) -> str:
        """Returns the whole second it lies in, as the API takes it: finer it cannot be asked."""
        return datetime.fromtimestamp(self.second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its end; the last one of a log may lack it."""

    at: Moment
    text: bytes

    @property
    def whole(self) -> bool:
        """Whether its end has been written."""
        return self.text.endswith(b"\n")


def lines(pieces: Iterable[bytes]) -> Iterator[Line]:
    """Yields the lines of a log that was read with `timestamps=true`, without those of Argo's executor."""
    last = Moment(0, 0)
    for raw in _split(pieces):
        stamp, _, text = raw.partition(b" ")
        try:
            second, nanosecond = _moment(stamp)
        except ValueError:
            # The kubelet's own words ("failed to try resolving symlinks") come without one.
            second, nanosecond, text = last.second, last.nanosecond, raw
        same = (second, nanosecond) == (last.second, last.nanosecond)
        last = Moment(second, nanosecond, last.nth + 1 if same else 0)
        if not _EXECUTOR.fullmatch(text):
            yield Line(last, text)


def _moment(stamp: bytes) -> tuple[int, int]:
    text = stamp.decode("ascii")
    seconds, dot, rest = text.partition(".")
    if not dot:
        return int(datetime.fromisoformat(text).timestamp()), 0
    digits = len(rest) - len(rest.lstrip("0123456789"))
    # The node's own time zone: compared as text, lines would be lost when summer ends.
    second = int(datetime.fromisoformat(seconds + (rest[digits:] or "Z")).timestamp())
    return second, int(rest[:digits][:9].ljust(9, "0"))


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = bytearray()
    for piece in pieces:
        rest += piece
        start = 0
        while (end := rest.find(b"\n", start)) >= 0:
            yield bytes(rest[start : end + 1])
            start = end + 1
        del rest[:start]
    if rest:
        yield bytes(rest)
