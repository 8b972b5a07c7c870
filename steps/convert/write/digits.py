"""Turns shares of an image's side into whole millionths, and millionths into text, a million numbers at a time."""

from functools import cache

import numpy as np
import numpy.typing as npt

from steps.convert.dataset import Floats, Ints

Millionths = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

ONE = 1_000_000  # millionths
_ODD = 15_625.0  # a million is this times 2 ** 6, so that a product with it rounds as a product with a million does
_SPLIT = 134_217_729.0  # 2 ** 27 + 1: cuts a double in two halves whose products are exact

# One number as text, with the blank before it: " 0.123456".
CELL = np.dtype({"names": ["blank", "number"], "formats": ["u1", "<u8"], "offsets": [0, 1], "itemsize": 9})


def millionths(shares: Floats) -> Millionths:
    """Rounds shares of 0 to 1 to millionths exactly as `f"{share:.6f}"` does: by the number itself, ties to even."""
    scaled = shares * float(ONE)
    rounded = np.rint(scaled)
    # Only where the product lies on a tie can its own rounding have hidden on which side the number was.
    tied = np.nonzero(np.abs(scaled - np.trunc(scaled)) == 0.5)
    if len(tied[0]):
        lost = _lost(shares[tied])
        rounded[tied] = np.where(lost == 0, rounded[tied], np.floor(scaled[tied]) + (lost > 0))
    return rounded.astype(np.int32)


def cells(numbers: Millionths) -> Bytes:
    """Gives ` d.dddddd` for each number of 0 to 1 (in millionths): nine bytes each, one after the other."""
    flat = numbers.reshape(-1)
    text = np.empty(len(flat), dtype=CELL)
    text["blank"] = 32
    text["number"] = fixed(flat)
    return text.view(np.uint8)


def fixed(numbers: Millionths) -> npt.NDArray[np.uint64]:
    """Gives `d.dddddd` as the eight bytes of a little-endian word."""
    high, low = _tables()
    thousands = numbers // np.int32(1000)
    words = low[numbers - thousands * np.int32(1000)]
    words |= high[thousands]
    return words


def class_tokens(count: int) -> npt.NDArray[np.bytes_]:
    """Gives the class indexes as text, all of one width, blanks before the shorter ones."""
    width = len(str(max(count - 1, 0)))
    return np.array([f"{index:>{width}}" for index in range(count)], dtype=f"S{width}")


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """Gives start, start + 1, … for each pair, one after the other."""
    ends = np.cumsum(lengths)
    steps = np.arange(int(ends[-1]) if len(ends) else 0, dtype=np.int64)
    steps += np.repeat(starts - (ends - lengths), lengths)
    return steps


@cache
def _tables() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    high = [int.from_bytes(f"{n // 1000}.{n % 1000:03d}".encode(), "little") for n in range(10_000)]
    low = [int.from_bytes(b"\0\0\0\0\0" + f"{n:03d}".encode(), "little") for n in range(1000)]
    return np.array(high, dtype=np.uint64), np.array(low, dtype=np.uint64)


def _lost(shares: Floats) -> Floats:
    """Gives by how much the exact product with a million exceeds the rounded one, scaled by 2 ** -6 (Dekker)."""
    product = shares * _ODD
    wide = shares * _SPLIT
    head = wide - (wide - shares)
    return (head * _ODD - product) + (shares - head) * _ODD
