"""Reads what an image file says of itself in its first bytes, without decoding a pixel."""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

HEAD = 4096  # bytes: holds the header of almost every file, and is one page to read
TAIL = 64
SEGMENTS = 400  # of a JPEG before its frame: more is nothing a camera or a tool writes


@dataclass(frozen=True, slots=True)
class Header:
    """Format, size in pixels as stored, EXIF orientation, and what makes a file unusual."""

    format: str
    width: int
    height: int
    orientation: int = 1
    depth: int = 8  # bits of one channel
    cmyk: bool = False
    animated: bool = False
    cut: bool = False  # it does not end as its format ends


class Unread(Exception):
    """A header that is not of the plain kind: a decoder has to look."""


class Window:
    """Bytes of an open file by position; what the first read did not bring is read on demand."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._descriptor, self._start = descriptor, 0
        self.data = os.pread(descriptor, HEAD, 0)

    def at(self, position: int, count: int) -> bytes:
        """Gives `count` bytes from `position`; raises Unread where the file ends before."""
        begin = position - self._start
        if begin < 0 or begin + count > len(self.data):
            self._start, begin = position, 0
            self.data = os.pread(self._descriptor, max(count, HEAD), position)
            if len(self.data) < count:
                raise Unread
        return self.data[begin : begin + count]

    def tail(self) -> bytes:
        """Gives the last bytes of the file."""
        if self._start == 0 and self.size <= len(self.data):
            return self.data[-TAIL:]
        return os.pread(self._descriptor, TAIL, max(0, self.size - TAIL))


def read_header(window: Window) -> Header:
    """Gives the header of a JPEG, PNG, WebP or BMP; raises Unread for all else and for what looks broken."""
    start = window.data[:4]
    for magic, parse in PARSERS:
        if start.startswith(magic):
            return parse(window)
    raise Unread


def _jpeg(window: Window) -> Header:
    position, orientation = 2, 0
    for _ in range(SEGMENTS):
        mark, kind = window.at(position, 2)
        if mark != 0xFF:
            raise Unread
        if kind == 0xFF:
            position += 1
            continue
        if kind == 0x01 or 0xD0 <= kind <= 0xD7:
            position += 2
            continue
        length = int.from_bytes(window.at(position + 2, 2), "big")
        if length < 2 or kind in {0xD8, 0xD9, 0xDA}:
            raise Unread
        if 0xC0 <= kind <= 0xCF and kind not in {0xC4, 0xC8, 0xCC}:
            depth, height, width, channels = struct.unpack(">BHHB", window.at(position + 4, 6))
            if not width or not height:
                raise Unread
            cut = not window.tail().endswith(b"\xff\xd9")
            return Header("JPEG", width, height, orientation or 1, depth, channels == 4, False, cut)
        if kind == 0xE1 and not orientation and window.at(position + 4, 6) == b"Exif\0\0":
            orientation = tiff_orientation(window.at(position + 10, length - 8))
        elif kind == 0xE2 and length > 6 and window.at(position + 4, 4) == b"MPF\0":
            raise Unread
        position += 2 + length
    raise Unread


def exif_orientation(window: Window) -> tuple[int, str]:
    """Gives where in a JPEG the value of its EXIF orientation stands (-1: nowhere), and its byte order."""
    position = 2
    for _ in range(SEGMENTS):
        mark, kind = window.at(position, 2)
        if mark != 0xFF or kind in {0xD9, 0xDA}:
            break
        length = int.from_bytes(window.at(position + 2, 2), "big")
        if kind == 0xE1 and window.at(position + 4, 6) == b"Exif\0\0":
            place, _, order = locate_orientation(window.at(position + 10, length - 8))
            return (position + 10 + place if place >= 0 else -1), order
        position += 2 + length
    return -1, "<"


def tiff_orientation(exif: bytes) -> int:
    """Gives the orientation that EXIF data holds, 1 where it holds none."""
    return locate_orientation(exif)[1]


def locate_orientation(exif: bytes) -> tuple[int, int, str]:
    """Gives the byte offset of the orientation's value (-1 without one), the value and the byte order."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2], "")
    try:
        if not order:
            raise Unread
        first = struct.unpack_from(order + "I", exif, 4)[0]
        count = struct.unpack_from(order + "H", exif, first)[0]
        for entry in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == 0x0112 and kind == 3:
                value = struct.unpack_from(order + "H", exif, entry + 8)[0]
                return (entry + 8, value, order) if 1 <= value <= 8 else (-1, 1, order)
    except (struct.error, Unread):
        pass
    return -1, 1, order or "<"


def _png(window: Window) -> Header:
    if window.at(0, 8) != b"\x89PNG\r\n\x1a\n" or window.at(12, 4) != b"IHDR":
        raise Unread
    width, height, depth, _ = struct.unpack(">IIBB", window.at(16, 10))
    if not width or not height:
        raise Unread
    position, animated = 33, False
    for _ in range(SEGMENTS):
        length, kind = struct.unpack(">I4s", window.at(position, 8))
        if kind in {b"IDAT", b"IEND"}:
            break
        animated |= kind == b"acTL"
        position += 12 + length
    cut = b"IEND" not in window.tail()
    return Header("PNG", width, height, 1, depth, False, animated, cut)


def _webp(window: Window) -> Header:
    if window.at(8, 4) != b"WEBP":
        raise Unread
    kind, animated = window.at(12, 4), False
    if kind == b"VP8X":
        flags = window.at(20, 1)[0]
        if flags & 0x08:  # EXIF stands behind the pixels
            raise Unread
        animated = bool(flags & 0x02)
        sizes = window.at(24, 6)
        width, height = int.from_bytes(sizes[:3], "little") + 1, int.from_bytes(sizes[3:], "little") + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", window.at(26, 4)))
    elif kind == b"VP8L":
        bits = int.from_bytes(window.at(21, 4), "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        raise Unread
    cut = int.from_bytes(window.at(4, 4), "little") + 8 > window.size
    return Header("WEBP", width, height, 1, 8, False, animated, cut)


def _bmp(window: Window) -> Header:
    declared, start, kind = struct.unpack("<I4xII", window.at(2, 16))
    if kind < 40:
        raise Unread
    width, height = struct.unpack("<ii", window.at(18, 8))
    if width < 1 or not height or start > window.size:
        raise Unread
    return Header("BMP", width, abs(height), 1, 8, False, False, declared > window.size)


PARSERS: tuple[tuple[bytes, Callable[[Window], Header]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (b"\x89PNG", _png),
    (b"RIFF", _webp),
    (b"BM", _bmp),
)
