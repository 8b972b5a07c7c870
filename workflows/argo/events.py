"""Reads the lines of a watch: what happened to which workflow, and where to go on from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import httpx
import msgspec

from workflows.argo.objects import Event, Named, Status, Workflow

GONE = 410
AHEAD = "Too large resource version"
"""Said to who comes from a later time than the cluster: it was restored from a backup."""

_events = msgspec.json.Decoder(Event)
_workflows = msgspec.json.Decoder(Workflow)
_named = msgspec.json.Decoder(Named)
_status = msgspec.json.Decoder(Status)


class Expired(Exception):
    """The version to go on from is unknown to the cluster: only a list tells what happened since."""


class Cut(Exception):
    """A watch that was open has ended before its time; it goes on from the same place."""


class Happened(NamedTuple):
    """One line of a watch; without a workflow it only says where to go on from."""

    kind: str
    version: str
    workflow: Workflow | None


def take(line: bytes) -> Happened:
    """Reads one line; raises Expired or Cut where it is the watch's last word, and DecodeError where it is no line."""
    event = _events.decode(line)
    if event.type == "ERROR":
        said = _status.decode(event.object)
        if said.code == GONE or AHEAD in said.message:
            raise Expired(said.message)
        raise Cut(f"{said.code}: {said.message}")
    if event.type == "BOOKMARK":
        return Happened(event.type, _named.decode(event.object).metadata.resource_version, None)
    workflow = _workflows.decode(event.object)
    return Happened(event.type, workflow.metadata.resource_version, workflow)


def lines_of(answer: httpx.Response) -> Iterator[bytes]:
    """Yields a stream's lines; one that is torn is not told. Raises Cut where the connection breaks."""
    # By hand: the library's own way turns every line into text first.
    rest: list[bytes] = []
    try:
        for piece in answer.iter_bytes():
            *lines, last = piece.split(b"\n")
            for line in lines:
                whole = b"".join((*rest, line)) if rest else line
                rest = []
                if whole:
                    yield whole
            if last:
                rest.append(last)
    except httpx.HTTPError as error:
        raise Cut(str(error) or type(error).__name__) from None
