"""Walks through an annotation document of any size in pieces of whole entries, without ever holding all of it."""

import codecs
import contextlib
import json
import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from steps.convert.dataset import Ints
from steps.convert.read.brackets import (
    BLOCK,
    CLOSE_LIST,
    OPEN_LIST,
    OPEN_OBJECT,
    Scan,
    keep_freed,
    next_block,
    start_of,
)
from steps.convert.read.broken import BrokenJson
from steps.convert.read.result import Progress

Decode = Callable[[bytes], list[Any]]
LARGEST_ENTRY = 1 << 26  # bytes of one image or annotation
LARGEST_FRAME = 1 << 26  # bytes of all that is neither
STREAMED = frozenset({"images", "annotations"})
TRUST, DISTRUST = 8, 8  # a wrong guess costs one decoding: after two of them it is left for some blocks
LONGEST_KEY = 1024  # bytes, with quotes, colon and spaces
KEY = re.compile(rb'"([a-z]{1,32})"\s*:\s*\[\Z')


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole entries of one of the long lists, as they stand in the file from `start`; `ends` are their ends."""

    key: str
    text: bytes
    start: int
    ends: list[int]
    first: bool  # no entry of the list comes before it
    found: list[Any] | None  # its entries, where they are decoded already


@dataclass(slots=True)
class Frame:
    """What is left of a document without its long lists, and where in the file those stand."""

    text: bytes = b""
    spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    size: int = 0
    places: list[tuple[int, int]] = field(default_factory=list)  # where its parts begin: in text, in the file

    def value(self) -> dict[str, Any]:
        """Parses it, the long lists empty; raises BrokenJson with the place in the file."""
        try:
            value = json.loads(self.text)
        except json.JSONDecodeError as error:
            at = len(error.doc[: error.pos].encode())
            begin, place = max((pair for pair in self.places if pair[0] <= at), default=(0, 0))
            raise BrokenJson(error.msg, place + at - begin) from None
        except (RecursionError, ValueError) as error:
            raise BrokenJson(str(error), 0) from None
        if not isinstance(value, dict):
            raise BrokenJson("it is no JSON object", 0)
        for key in STREAMED - self.spans.keys():
            if value.get(key) and isinstance(value[key], list):
                raise BrokenJson(f"its key `{key}` is written oddly", 0, cure=f'write it as "{key}": [')
        return value


class Walk:
    """Iterates over the pieces of a document; afterwards `frame` holds the rest of it.

    `decoders` (by the key of a long list) are tried on each block first: where its last brace ends an entry, which it
    mostly does, nothing needs to be looked for.
    """

    def __init__(
        self, path: Path, *, decoders: Mapping[str, Decode] | None = None, progress: Progress | None = None
    ) -> None:
        self.path = path
        self.progress = progress
        self.decoders = decoders or {}
        self.frame = Frame()
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._tail = b""
        self._key: str | None = None
        self._trust = TRUST
        self._scan = Scan()

    def __iter__(self) -> Iterator[Piece]:
        """Reads the file once; raises BrokenJson where its brackets and quotes make no document."""
        decode = codecs.getincrementaldecoder("utf-8")()
        pending = False  # bytes of a character that the next block completes
        keep_freed()
        with open(self.path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            offset, block = start_of(file)
            held = b""  # the beginning of an entry whose end is yet to come
            while block:
                if (zero := block.find(0)) >= 0:
                    raise BrokenJson("a zero byte", offset + zero)
                if pending or not block.isascii():
                    try:
                        decode.decode(block)
                    except UnicodeDecodeError as error:
                        raise BrokenJson("it is not UTF-8 text", offset + error.start) from None
                    pending = bool(decode.getstate()[0])
                at = offset - len(held)
                offset += len(block)
                held = yield from self._block(held + block, at)
                if len(held) > LARGEST_ENTRY:
                    raise BrokenJson(f"one of its {self._key} is larger than {LARGEST_ENTRY >> 20} MiB", at)
                if self.progress:
                    self.progress("read", offset, size)
                # What grows is doubled: an entry of many blocks is not looked through again for each of them.
                block = next_block(file, offset, size=max(BLOCK, len(held)))
        if pending or self._key or not self._scan.ended:
            raise BrokenJson("the document ends in the middle", offset)
        self.frame.text, self.frame.size = b"".join(self._rest), offset

    def _block(self, block: bytes, offset: int) -> Generator[Piece, None, bytes]:
        """Gives the pieces of a block, and what is left of it for the next one."""
        if self._key is not None and (piece := self._guessed(block, offset)):
            yield piece
            return block[len(piece.text) :]
        marks, kinds, depths = self._scan.brackets(block, offset)
        level = np.flatnonzero(((kinds == OPEN_LIST) & (depths == 2)) | ((kinds == CLOSE_LIST) & (depths == 1)))
        ends = marks[(depths == 2) & (kinds != OPEN_LIST) & (kinds != OPEN_OBJECT)] + 1
        at = 0
        for index in level.tolist():
            mark = int(marks[index])
            if self._key is not None:  # a list at this depth can only be closed
                yield from self._entries(block, at, mark, ends, offset)
                at, self._key = mark, None
            elif kinds[index] == OPEN_LIST:
                self._keep(block[at : mark + 1], offset + at)
                at, self._key = mark + 1, self._opened(offset + mark)
        if self._key is None:
            self._keep(block[at:], offset + at)
            return b""
        whole = ends[np.searchsorted(ends, at, side="right") :]
        cut = int(whole[-1]) if len(whole) else at
        yield from self._entries(block, at, cut, ends, offset)
        self._scan.between_entries()
        return block[cut:]

    def _guessed(self, block: bytes, offset: int) -> Piece | None:
        decode = self.decoders.get(str(self._key))
        cut = block.rfind(b"}") + 1
        if decode is None or not cut or self._trust <= 0:
            self._trust += 1
            return None
        text = block[:cut]
        spans = self.frame.spans[str(self._key)]
        bare = text.lstrip(b" \t\r\n")
        found = None
        if bare.startswith(b",") == bool(spans):
            with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                found = decode(b"[%b]" % (memoryview(bare)[1:] if spans else bare))
        if found is None:
            self._trust -= DISTRUST
            return None
        self._trust = min(TRUST, self._trust + 1)
        piece = Piece(str(self._key), text, offset, [], not spans, found)
        spans.append((offset, offset + cut))
        return piece

    def _entries(self, block: bytes, at: int, stop: int, ends: Ints, offset: int) -> Iterator[Piece]:
        if stop == at or self._key is None:
            return
        here = ends[np.searchsorted(ends, at, side="right") : np.searchsorted(ends, stop, side="right")]
        spans = self.frame.spans[self._key]
        yield Piece(self._key, block[at:stop], offset + at, (here - at).tolist(), not spans, None)
        spans.append((offset + at, offset + stop))

    def _keep(self, text: bytes, place: int) -> None:
        self.frame.places.append((self._rest_size, place))
        self._rest.append(text)
        self._tail = (self._tail + text[-LONGEST_KEY:])[-LONGEST_KEY:]
        self._rest_size += len(text)
        if self._rest_size > LARGEST_FRAME:
            raise BrokenJson(f"more than {LARGEST_FRAME >> 20} MiB of it are neither images nor annotations", place)

    def _opened(self, place: int) -> str | None:
        found = KEY.search(self._tail)
        key = found.group(1).decode() if found else None
        if key not in STREAMED:
            return None
        if key in self.frame.spans:
            raise BrokenJson(f"`{key}` stands in it twice", place)
        self.frame.spans[key] = []
        return key
