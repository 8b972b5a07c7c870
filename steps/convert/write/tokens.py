"""Reads label text back into whole numbers, for the proof that what was written is what was meant."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import Ints
from steps.convert.write.digits import CELL

NEWLINE, BLANK, ZERO = 10, 32, 48
SHARE = 8  # characters of d.dddddd
PIECE = 1 << 14
_DIGITS = 0xF0F0_F0F0_F0F0_00F0  # the upper halves of the seven digits
_UPPER = 0xF0F0_F0F0_F0F0_FFF0  # those, and the point
_FORM = 0x3030_3030_3030_2E30  # what they are in d.dddddd
_LOWER = 0x0F0F_0F0F_0F0F_000F  # what the digits say


class Garbled(ValueError):
    """Text that is no label text of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Label lines as numbers: one class each, and the numbers behind it; shares are in millionths."""

    classes: npt.NDArray[np.int32]
    numbers: npt.NDArray[np.int32]
    counts: Ints  # numbers in each line, without the class
    ends: Ints  # the byte behind each line


def read_lines(text: bytes) -> Lines:
    """Reads lines of a class index and numbers that are either `d.dddddd` or whole; raises Garbled."""
    raw = np.frombuffer(text, dtype=np.uint8)
    if (lines := _shares_only(raw)) is not None:
        return lines
    stops = np.flatnonzero(raw <= BLANK)
    if not len(stops):
        if len(raw):
            raise Garbled("the text has no end of line")
        nothing = np.zeros(0, dtype=np.int32)
        return Lines(classes=nothing, numbers=nothing, counts=nothing.astype(np.int64), ends=nothing.astype(np.int64))
    kinds = raw[stops]
    last = kinds == NEWLINE
    if not last[-1] or stops[-1] + 1 != len(raw) or not (last | (kinds == BLANK)).all():
        raise Garbled("the text ends within a line, or holds strange blanks")
    starts = np.empty_like(stops)
    starts[0] = 0
    starts[1:] = stops[:-1] + 1
    first = np.empty_like(last)
    first[0] = True
    first[1:] = last[:-1]
    rest = ~first
    return Lines(
        classes=_whole(raw, starts[first], stops[first]),
        numbers=_numbers(raw, starts[rest], stops[rest]),
        counts=np.diff(np.flatnonzero(np.append(first, True))) - 1,
        ends=stops[last] + 1,
    )


def _shares_only(raw: npt.NDArray[np.uint8]) -> Lines | None:
    """Reads lines of nothing but shares behind the class, as nearly all are; None where they hold anything else."""
    if not len(raw) or raw[-1] != NEWLINE:
        return None
    stops = np.flatnonzero(raw == NEWLINE)
    starts = np.concatenate([[0], stops[:-1] + 1])
    widths = np.zeros(len(stops), dtype=np.int64)
    body = np.ones(len(raw), dtype=bool)
    body[stops] = False
    for place in range(SHARE):
        open_ = np.flatnonzero((widths == place) & (starts + place < stops))
        open_ = open_[raw[starts[open_] + place] != BLANK]
        widths[open_] += 1
        body[starts[open_] + place] = False
    sizes = stops - starts - widths
    if (sizes % CELL.itemsize).any() or (widths >= SHARE).any():
        return None
    cells = raw[body].view(CELL)
    if (cells["blank"] != BLANK).any():
        return None
    return Lines(
        classes=_whole(raw, starts, starts + widths),
        numbers=_joined(np.ascontiguousarray(cells["number"])),
        counts=sizes // CELL.itemsize,
        ends=stops + 1,
    )


def _numbers(raw: npt.NDArray[np.uint8], starts: Ints, stops: Ints) -> npt.NDArray[np.int32]:
    shares = stops - starts == SHARE
    if shares.all():
        return _shares(raw, starts)
    values = np.empty(len(starts), dtype=np.int32)
    values[shares] = _shares(raw, starts[shares])
    values[~shares] = _whole(raw, starts[~shares], stops[~shares])
    return values


def _whole(raw: npt.NDArray[np.uint8], starts: Ints, stops: Ints) -> npt.NDArray[np.int32]:
    widths = stops - starts
    values = np.zeros(len(starts), dtype=np.int32)
    if len(widths) and not 1 <= int(widths.min()) <= int(widths.max()) < SHARE:
        raise Garbled("a number is missing or too long")
    for place in range(int(widths.max(initial=0))):
        here = np.flatnonzero(widths > place)
        digits = raw[starts[here] + place].astype(np.int32) - ZERO
        if (digits < 0).any() or (digits > 9).any():
            raise Garbled("a whole number holds something else than digits")
        values[here] = values[here] * 10 + digits
    return values


def _shares(raw: npt.NDArray[np.uint8], starts: Ints) -> npt.NDArray[np.int32]:
    if not len(starts):
        return np.zeros(0, dtype=np.int32)
    # Every eight bytes of the text as one word, wherever they begin.
    return _joined(np.ndarray((len(raw) - SHARE + 1,), dtype="<u8", buffer=raw, strides=(1,))[starts])


def _joined(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
    """Turns words of eight characters into millionths."""
    values = np.empty(len(words), dtype=np.int32)
    # Piece by piece: what fits into the processor's cache is worked on several times as fast.
    for start in range(0, len(words), PIECE):
        some = words[start : start + PIECE]
        upper = some & _UPPER
        some = some & _LOWER
        if (upper != _FORM).any() or ((some + 0x0606_0606_0606_0006) & _DIGITS).any():
            raise Garbled("a share is not written as d.dddddd")
        # Digits are joined in pairs, pairs in fours, fours in eights: the point counts as a zero behind the first.
        some *= 2561
        some >>= 8
        some &= 0x00FF_00FF_00FF_00FF
        some *= 6_553_601
        some >>= 16
        some &= 0x0000_FFFF_0000_FFFF
        some *= 42_949_672_960_001
        some >>= 32
        whole = some.astype(np.int32)
        values[start : start + PIECE] = whole - (whole // 10_000_000) * np.int32(9_000_000)
    return values
