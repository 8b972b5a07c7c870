"""Writes and reads back 8-bit indexed PNG files: unfiltered and compressed by runs, which suits masks best."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
IGNORE = 255  # the value of pixels that count for nothing
_IGNORED_COLOUR = (224, 224, 192)

Pixels = npt.NDArray[np.uint8]


def write_png(pixels: Pixels, palette: bytes) -> bytes:
    """Gives the file of a (height, width) table of palette indexes."""
    height, width = pixels.shape
    lines = np.zeros((height, width + 1), dtype=np.uint8)  # each row begins with its filter: 0, none
    lines[:, 1:] = pixels
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    data = packer.compress(lines.data) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", palette), (b"IDAT", data), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def read_png(content: bytes) -> Pixels:
    """Gives the indexes of a file that write_png() made; raises ValueError for anything else."""
    if content[:8] != SIGNATURE:
        raise ValueError("it is no PNG")
    at, data, size = 8, b"", (0, 0)
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        body = content[at + 8 : at + 8 + length]
        if struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] != zlib.crc32(kind + body):
            raise ValueError(f"its chunk {kind!r} has a wrong checksum")
        if kind == b"IHDR":
            width, height, *form = struct.unpack(">IIBBBBB", body)
            if form != [8, 3, 0, 0, 0]:
                raise ValueError("it is not indexed with 8 bits")
            size = (height, width + 1)
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    lines = np.frombuffer(zlib.decompress(data), dtype=np.uint8).reshape(size)
    if lines[:, 0].any():
        raise ValueError("its rows are filtered")
    return lines[:, 1:]


def palette(classes: int, *, background: int | None) -> bytes:
    """Gives a colour to each value: those of Pascal VOC for classes, black for the background, pale for 255."""
    colours = [_voc(value + 1) for value in range(256)]
    for value in range(classes, 256):
        colours[value] = (0, 0, 0)
    if background is not None:
        colours[background] = (0, 0, 0)
    colours[IGNORE] = _IGNORED_COLOUR
    return bytes(channel for colour in colours for channel in colour)


def _voc(number: int) -> tuple[int, int, int]:
    red = green = blue = 0
    for bit in range(8):
        red |= (number & 1) << (7 - bit)
        green |= (number >> 1 & 1) << (7 - bit)
        blue |= (number >> 2 & 1) << (7 - bit)
        number >>= 3
    return red, green, blue


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
