"""The typed shape of images and annotations in a document, and how entries that do not fit it are mended or told."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec

from steps.convert.read.broken import BrokenJson
from steps.convert.read.stream import Piece

Box = tuple[float, float, float, float]
Mend = Callable[[Any], Any]  # gives the record of an entry that does not fit the types, or None

MOST_DIGITS = 4000  # of a whole number: Python's own limit is 4300


class RunLengths(msgspec.Struct, gc=False):
    """A mask by run lengths, as numbers or as COCO's short text."""

    size: list[int]
    counts: list[int] | str


Shape = list[list[float] | float] | RunLengths | None  # what stands under `segmentation`


class Annotation(msgspec.Struct, gc=False):
    """What every task needs of an annotation; the ids are texts in some exports."""

    id: int | str | None = None
    image_id: int | str | None = None
    category_id: int | str | None = None
    class_id: int | str | None = None
    class_name: str | None = None
    bbox: Box | None = None
    bbox_format: str | None = None
    area: float | None = None
    iscrowd: int | bool | None = 0
    mask_file: str | None = None  # D3: the indexed image of a semantic segmentation
    mask_format: str | None = None


class Metadata(msgspec.Struct, gc=False):
    """What the labeler says about an image."""

    status: str | None = None


@cache
def annotation_type(*, outlines: bool, keypoints: bool) -> type[Annotation]:
    """Gives the type that decodes outlines and keypoints only where they are wanted: most of a document is outlines."""
    extra: list[Any] = []
    if outlines:
        # As its text: polygons are read from that many at once.
        extra.append(("segmentation", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET))
    if keypoints:
        extra.append(("keypoints", list[list[float] | float] | None, None))
    return msgspec.defstruct("WantedAnnotation", extra, bases=(Annotation,), gc=False)


@cache
def image_type(annotation: type[Annotation]) -> type[msgspec.Struct]:
    """Gives the type of an image that may carry its annotations inside."""
    fields: list[Any] = [
        ("id", int | str | None, None),
        ("file_name", str | None, None),
        ("width", int | None, None),
        ("height", int | None, None),
        ("split", str | None, None),
        ("metadata", Metadata | None, None),
        ("annotations", list[annotation] | None | msgspec.UnsetType, msgspec.UNSET),  # type: ignore[valid-type]
        ("annotation", annotation | None | msgspec.UnsetType, msgspec.UNSET),
    ]
    return msgspec.defstruct("WantedImage", fields, gc=False)


def records(piece: Piece, decoder: msgspec.json.Decoder[list[Any]], mend: Mend) -> list[Any]:
    """Decodes a piece at once; where something in it does not fit, entry by entry. None stands for a lost entry."""
    if piece.found is not None:
        return piece.found
    bare = piece.text.strip(b" \t\r\n")
    comma = bare.startswith(b",")
    if not bare:
        return []
    try:
        if comma != piece.first and bare != b",":
            return decoder.decode(b"[" + bare[comma:] + b"]")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass  # one entry that does not fit costs this piece's speed, nothing more
    found: list[Any] = []
    for place, entry in _entries(piece):
        try:
            found.extend(decoder.decode(b"[" + entry + b"]"))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            found.extend(map(mend, _loads(entry, place)))
    return found


def _entries(piece: Piece) -> Iterator[tuple[int, bytes]]:
    """Gives each entry without the comma before it, and where in the file it stands."""
    at, first = 0, piece.first
    for end in [*piece.ends, len(piece.text)]:
        entry = piece.text[at:end]
        bare = entry.lstrip(b" \t\r\n")
        if not bare:
            return
        place = piece.start + at + len(entry) - len(bare)
        if first == bare.startswith(b","):
            raise BrokenJson("a comma too many" if first else "a comma is missing", place)
        if not first:
            bare, place = bare[1:], place + 1
        if not bare.strip():
            raise BrokenJson("a comma is followed by nothing", place - 1)
        yield place, bare
        at, first = end, False


def _whole(digits: str) -> int | str:
    # Python refuses numbers of thousands of digits; here one of a field that nobody knows harms nobody.
    return int(digits) if len(digits) < MOST_DIGITS else digits


def _loads(entry: bytes, place: int) -> list[Any]:
    try:
        value = json.loads(b"[" + entry + b"]", parse_int=_whole)
    except json.JSONDecodeError as error:
        before = error.doc[1 : error.pos].encode("utf-8", "replace")
        raise BrokenJson(error.msg, place + len(before)) from None
    except (RecursionError, ValueError) as error:
        raise BrokenJson(str(error), place) from None
    return list(value)
