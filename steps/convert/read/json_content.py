"""Spells an annotation document canonically, piece by piece, so that its version is named in little memory."""

import hashlib
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from steps.convert.read.spelling import Speller
from steps.convert.read.stream import Frame
from steps.convert.version import canonical, is_content

HELD = 1 << 25  # bytes of canonical text kept in memory; what is longer is put into a nameless file
BLOCK = 1 << 20
WHITE = b" \t\r\n"


class JsonContent:
    """The canonical bytes of a document: sorted keys, no spaces, whole numbers without a point."""

    def __init__(self, path: Path, frame: Frame) -> None:
        self._path, self._frame = path, frame
        self._text: BinaryIO | None = None
        self._length = 0
        self._digest = ""

    @property
    def length(self) -> int:
        """How many bytes there are."""
        self._spell()
        return self._length

    @property
    def digest(self) -> str:
        """Their SHA-256 in hex."""
        self._spell()
        return self._digest

    def pieces(self) -> Iterator[bytes]:
        """Gives the bytes in order."""
        text = self._spell()
        text.seek(0)
        while block := text.read(BLOCK):
            yield block

    def _spell(self) -> BinaryIO:
        # The length comes before the bytes in the version, and is known after them: so they are kept for a while.
        if self._text is None:
            text: Any = tempfile.SpooledTemporaryFile(max_size=HELD)  # noqa: SIM115  (lives as long as this object)
            weakref.finalize(self, text.close)
            digest = hashlib.sha256()
            for piece in spell(self._path, self._frame):
                self._length += text.write(piece)
                digest.update(piece)
            self._text, self._digest = text, digest.hexdigest()
        return self._text


def spell(path: Path, frame: Frame) -> Iterator[bytes]:
    """Gives the canonical text of a document whose frame was read before, in pieces."""
    value = frame.value()
    joint = b"{"
    with open(path, "rb", buffering=0) as file:
        for key in sorted(key for key in value if is_content(key, value)):
            yield joint + canonical(key) + b":"
            if key in frame.spans:
                yield b"["
                yield from _entries(file, frame.spans[key])
                yield b"]"
            else:
                yield canonical(value[key])
            joint = b","
    yield b"{}" if joint == b"{" else b"}"


def _entries(file: BinaryIO, spans: list[tuple[int, int]]) -> Iterator[bytes]:
    joint, speller = b"", Speller()
    for begin, end in spans:
        file.seek(begin)
        text = file.read(end - begin).strip(WHITE).removeprefix(b",")
        spelled = speller.spell(b"[" + text + b"]")[1:-1]
        if spelled:
            yield joint + spelled
            joint = b","
