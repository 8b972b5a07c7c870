"""Reads polygons from their JSON text, of many annotations at once: no Python object is made for any number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import Floats, Ints

WHITE = b" \t\r\n"
BLANKS = (b" ", b"\t", b"\r", b"\n")
COMMA, MINUS, OPENED, CLOSED = b",-[]"
WORD = 8  # characters of a number that are worked on at once
PAD = b"0" * WORD  # before the first text, so that each number has a word before its end
PIECE = 1 << 13  # numbers
LONGEST = 24  # characters of a number; what is longer is left to those who look at each
LONG = 4  # one in so many numbers may be longer than a word: of more, all are read the other way

Words = npt.NDArray[np.uint64]
_ZEROS = 0x3030_3030_3030_3030  # eight characters "0"
_KEPT = np.array([(1 << 64) - (1 << 64 - 8 * width) for width in range(WORD + 1)], dtype=np.uint64)
_POINT = 0x0202_0202_0202_0202  # the bit that "." has besides that of the next line, once it is held against "0"
_OTHER = 0x1010_1010_1010_1010  # the bit that "." and "-" have then, and no digit
_AFTER = 0x0706_0504_0302_0100  # times a one in byte p: 7 - p in the highest byte
_POWERS = 10.0 ** np.arange(WORD)


@dataclass(frozen=True, slots=True)
class Rings:
    """All numbers one after the other, how many each ring has, and how many rings each text."""

    numbers: Floats
    sizes: Ints
    counts: Ints


def read_rings(texts: Sequence[bytes]) -> Rings | None:
    """Reads texts that are JSON lists of rings or one flat ring each; None where they hold anything else.

    They are known to be JSON. Numbers come out as `float` reads them.
    """
    if not texts:
        return Rings(np.zeros(0), *np.zeros((2, 0), dtype=np.int64))
    joined = b"".join([PAD, *texts])
    if any(white in joined for white in BLANKS):
        texts = [text.translate(None, WHITE) for text in texts]
        joined = b"".join([PAD, *texts])
    raw = np.frombuffer(joined, dtype=np.uint8)
    marks = np.flatnonzero((raw - np.uint8(MINUS))[WORD:] > 12) + WORD  # all but digits, minus and point
    kinds = raw[marks]
    opened, closed, comma = kinds == OPENED, kinds == CLOSED, kinds == COMMA
    widths = np.diff(marks) - 1
    filled = widths > 0  # a number stands between this mark and the next
    row_ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))) + WORD
    nested = int((raw[np.concatenate([[WORD], row_ends[:-1]]) + 1] == OPENED).sum())
    last = filled & closed[1:]  # numbers that end a ring
    # Each list ends with a number but the outer ones, and no number follows another list: then all are rings.
    rings = int(last.sum()) == int(opened.sum()) - nested and not (filled[1:] & comma[1:-1] & ~filled[:-1]).any()
    if not rings or not (opened | closed | comma).all():
        return None
    stops = marks[1:]
    numbers = _numbers(raw, stops[filled], widths[filled])
    if numbers is None:
        return None
    sizes = np.diff(np.flatnonzero(last[filled]), prepend=-1)
    counts = np.diff(np.searchsorted(stops[last], row_ends), prepend=0)
    return Rings(numbers, sizes, counts)


def _numbers(raw: npt.NDArray[np.uint8], stops: Ints, widths: Ints) -> Floats | None:
    """Gives the numbers that end before `stops`; None where too many are long."""
    long = np.flatnonzero(widths > WORD)
    if len(long) * LONG > len(widths) or widths.max(initial=0) > LONGEST:
        return None
    # The eight bytes before each end as one word, wherever they begin.
    before = np.ndarray((len(raw) - WORD + 1,), dtype="<u8", buffer=raw, strides=(1,))
    numbers = np.empty(len(stops))
    # Piece by piece: what fits into the processor's cache is worked on several times as fast.
    for start in range(0, len(stops), PIECE):
        part = slice(start, start + PIECE)
        numbers[part] = _values(before[stops[part] - WORD], widths[part])
    for at in long.tolist():
        numbers[at] = float(raw[stops[at] - widths[at] : stops[at]].tobytes())
    return numbers


def _values(words: Words, widths: Ints) -> Floats:
    """Turns words of eight characters, of which the last `widths` are meant, into numbers."""
    words ^= np.uint64(_ZEROS)
    words &= _KEPT.take(widths, mode="clip")
    points = words >> 3
    points &= words
    points &= np.uint64(_POINT)
    points >>= 1  # a one in the byte of the point
    signs = words & np.uint64(_OTHER)
    signs ^= points << 4
    negative = signs != 0 if signs.any() else None
    if negative is not None:
        words &= ~((signs >> 4) * np.uint64(0xFF))
    whole = points == 0
    numbers = _joined(np.where(whole, words, _without(words, points))).view(np.int64).astype(np.float64)
    points *= np.uint64(_AFTER)
    points >>= 56
    # Digits and power are exact, so the quotient is rounded once: it is what the text says, to the last bit.
    numbers /= _POWERS.take(points.view(np.int64), mode="clip")
    if negative is not None:
        numbers[negative] *= -1
        numbers[whole] += 0.0  # there is no whole number -0
    return numbers


def _without(words: Words, points: Words) -> Words:
    """Takes the point out: the digits before it move up."""
    below = points - 1
    before = (words & below) << 8
    below <<= 8
    below |= 0xFF
    before |= words & ~below
    return before


def _joined(words: Words) -> Words:
    """Joins digits in pairs, pairs in fours, fours in eights; the first character is the lowest byte."""
    words *= 2561
    words >>= 8
    words &= 0x00FF_00FF_00FF_00FF
    words *= 6_553_601
    words >>= 16
    words &= 0x0000_FFFF_0000_FFFF
    words *= 42_949_672_960_001
    words >>= 32
    return words
