"""Finds the brackets of a JSON text that stand outside of its strings, block by block."""

import codecs
from typing import BinaryIO

import numpy as np

from steps.convert.dataset import Ints
from steps.convert.read.broken import BrokenJson

BLOCK = 1 << 18  # bytes: what is decoded at once stays in the processor's cache, four times as fast as 4 MiB
DEEPEST = 512
MARKS = bytes(byte in b'{}[]"' for byte in range(256))
QUOTE, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT = b'"[]{'


class Scan:
    """Knows how deep the text is nested, and whether a string is open, from one block to the next."""

    def __init__(self) -> None:
        self.depth = 0
        self.quoted = 0
        self.ended = False

    def between_entries(self) -> None:
        """Goes back to where the next block begins: after an entry of a list of the top object."""
        self.depth, self.quoted = 2, 0

    def brackets(self, block: bytes, offset: int) -> tuple[Ints, Ints, Ints]:
        """Gives the brackets outside of strings: place, character, depth after it."""
        places = np.flatnonzero(np.frombuffer(block.translate(MARKS), dtype=bool))
        kinds = np.frombuffer(block, dtype=np.uint8)[places]
        quotes = kinds == QUOTE
        if b"\\" in block:
            quotes &= ~np.isin(places, _escaped(block), assume_unique=True)
        inside = (np.cumsum(quotes) + self.quoted) & 1
        if len(inside):
            self.quoted = int(inside[-1])
        real = (kinds != QUOTE) & (inside == 0)
        places, kinds = places[real], kinds[real]
        depths = np.cumsum(np.where((kinds == OPEN_LIST) | (kinds == OPEN_OBJECT), 1, -1)) + self.depth
        if len(depths):
            self._judge(places, depths, offset)
        return places, kinds, depths

    def _judge(self, places: Ints, depths: Ints, offset: int) -> None:
        self.depth = int(depths[-1])
        if depths.max() > DEEPEST:
            deep = int(places[np.argmax(depths > DEEPEST)])
            raise BrokenJson(f"it is nested more than {DEEPEST} deep", offset + deep)
        last = int(np.argmax(depths <= 0))
        if self.ended or depths[last] < 0 or (depths[last] == 0 and last + 1 < len(depths)):
            raise BrokenJson("more follows after its end", offset + int(places[last]))
        self.ended = self.depth == 0


def keep_freed() -> None:
    """Has the C library keep what is freed: else it asks the system for the memory of each block again."""
    # glibc learns from what is freed: what was as large as this once is no longer given back at once.
    bytes(1 << 23)


def start_of(file: BinaryIO) -> tuple[int, bytes]:
    """Gives the first block and where it begins; raises BrokenJson for what is no JSON object in UTF-8."""
    block = next_block(file, 0)
    if block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in block[:4]:
        raise BrokenJson("it is UTF-16 or UTF-32 text", 0)
    skipped = 3 if block.startswith(codecs.BOM_UTF8) else 0
    block = block[skipped:]
    first = block.lstrip()[:1]
    if first and first not in b"{":
        kind = {b"[": "list", b'"': "string", b"n": "null"}.get(first, "number" if first in b"-0123456789" else "")
        raise BrokenJson(f"it is a JSON {kind}, not an object" if kind else "it is no JSON", skipped, kind=kind)
    return skipped, block


def next_block(file: BinaryIO, offset: int, *, size: int = BLOCK) -> bytes:
    """Reads on; a backslash and what it escapes stay in one block."""
    block = file.read(size)
    most = 8 * size
    while block.endswith(b"\\") and (more := file.read(BLOCK)):
        block += more
        if len(block) > most:
            raise BrokenJson("it holds thousands of backslashes in a row", offset)
    return block


def _escaped(block: bytes) -> Ints:
    """Gives the places that follow an odd number of backslashes."""
    slashes = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\\"))
    first = np.ones(len(slashes), dtype=bool)
    first[1:] = np.diff(slashes) != 1
    number = np.arange(len(slashes))
    within = number - np.maximum.accumulate(np.where(first, number, 0))
    escaped: Ints = slashes[within % 2 == 0] + 1
    return escaped
