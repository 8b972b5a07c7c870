"""Masks as COCO's run lengths: numbers, the short text, and pixels, each made from the others."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from steps.convert.dataset import Bools, Ints, Rle

FIVE_BITS, MORE, SIGN, FIRST = 31, 32, 16, 48
LONGEST = 6  # groups of five bits: run lengths up to 2**29 pixels


class RleColumn(Mapping[int, Rle]):
    """The run lengths of many annotations in one array, by annotation row."""

    def __init__(self, rows: Ints, sizes: Ints, counts: Ints, starts: Ints) -> None:
        self._rows, self._sizes, self._counts, self._starts = rows, sizes, counts.astype(np.int32), starts
        self._index = {row: index for index, row in enumerate(rows.tolist())}

    @classmethod
    def of(cls, rles: Mapping[int, Rle]) -> "RleColumn":
        """Packs run lengths that stand one by one."""
        rows = sorted(rles)
        counts = [rles[row].counts for row in rows]
        sizes = np.array([(rles[row].height, rles[row].width) for row in rows], dtype=np.int64).reshape(-1, 2)
        starts = np.cumsum([0, *map(len, counts)])
        joined = np.concatenate(counts) if counts else np.empty(0, dtype=np.int64)
        return cls(np.array(rows, dtype=np.int64), sizes, joined, starts)

    def __getitem__(self, row: int) -> Rle:
        index = self._index[row]
        height, width = self._sizes[index].tolist()
        counts = self._counts[self._starts[index] : self._starts[index + 1]]
        return Rle(height, width, counts.astype(np.int64))

    def __iter__(self) -> Iterator[int]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def moved(self, row_of: Ints) -> "RleColumn":
        """Gives the column after its annotations moved to the rows `row_of`; those at -1 are left out."""
        rows = row_of[self._rows]
        kept = np.flatnonzero(rows >= 0)
        counts, starts = gather(self._counts, self._starts, kept)
        return RleColumn(rows[kept], self._sizes[kept], counts, starts)


def gather(values: Ints, starts: Ints, kept: Ints) -> tuple[Ints, Ints]:
    """Picks the parts `kept` of a ragged column: values, and where each part starts."""
    lengths = (starts[1:] - starts[:-1])[kept]
    fresh = np.concatenate(([0], np.cumsum(lengths)))
    within = np.arange(fresh[-1]) - np.repeat(fresh[:-1], lengths)
    return values[np.repeat(starts[:-1][kept], lengths) + within], fresh


def decode_counts(texts: Sequence[str]) -> list[Ints | None]:
    """Gives the run lengths that COCO's short texts stand for; None for a text that is none."""
    raw = "".join(texts).encode("ascii", "replace")
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    codes = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - FIRST
    owner = np.repeat(np.arange(len(texts)), lengths)
    ends = (np.cumsum(lengths) - 1)[lengths > 0]
    last = (codes & MORE) == 0
    open_end = owner[ends[~last[ends]]]
    last[ends] = True  # no number runs on into the next text
    numbers = np.cumsum(last) - last  # which number each character belongs to
    starts = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1)) if last.any() else np.empty(0, dtype=np.int64)
    place = np.arange(len(codes)) - starts[np.minimum(numbers, len(starts) - 1)] if len(starts) else codes[:0]
    bad = np.zeros(len(texts), dtype=bool)
    bad[owner[(codes < 0) | (codes > 63)]] = True
    bad[owner[place >= LONGEST]] = True
    bad[open_end] = True
    bad[lengths == 0] = True
    bad[[index for index, text in enumerate(texts) if not text.isascii()]] = True
    good = np.flatnonzero(~bad)
    if len(good) < len(texts):
        found: list[Ints | None] = [None] * len(texts)
        for index, counts in zip(good.tolist(), decode_counts([texts[i] for i in good.tolist()]), strict=True):
            found[index] = counts
        return found
    if not texts:
        return []
    values = np.add.reduceat((codes & FIVE_BITS) << (5 * place), starts)
    tails = np.flatnonzero(last)
    values -= np.where(codes[tails] & SIGN, 1, 0) << (5 * (place[tails] + 1))
    return _undo_differences(values, np.bincount(owner[tails], minlength=len(texts)))


def _undo_differences(values: Ints, lengths: Ints) -> list[Ints | None]:
    # From its fourth on, a number is the difference to the one two before it.
    starts = np.cumsum(lengths) - lengths
    within = np.arange(len(values)) - np.repeat(starts, lengths)
    out = values.copy()
    for parity in (1, 2):  # chains 1, 3, 5 … and 2, 4, 6 …
        chain = np.flatnonzero((within > 0) & (within % 2 == parity % 2))
        sums = np.cumsum(values[chain])
        heads = within[chain] == parity
        before = (sums - values[chain])[heads]
        out[chain] = sums - np.repeat(before, np.diff(np.append(np.flatnonzero(heads), len(chain))))
    return [out[start : start + length] for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)]


def encode_counts(counts: Ints) -> str:
    """Gives COCO's short text for run lengths."""
    characters = []
    for index, count in enumerate(counts.tolist()):
        value = count - int(counts[index - 2]) if index > 2 else count
        while True:
            group = value & FIVE_BITS
            value >>= 5
            more = value != (-1 if group & SIGN else 0)
            characters.append(chr((group | MORE if more else group) + FIRST))
            if not more:
                break
    return "".join(characters)


def to_mask(rle: Rle) -> Bools:
    """Paints run lengths: a (height, width) table of pixels."""
    values = np.arange(len(rle.counts)) % 2 == 1
    return np.repeat(values, rle.counts).reshape(rle.width, rle.height).T


def from_mask(mask: Bools) -> Rle:
    """Gives the run lengths of a (height, width) table of pixels."""
    height, width = mask.shape
    flat = np.concatenate(([False], mask.T.reshape(-1)))
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    return Rle(height, width, np.diff(np.concatenate(([0], turns, [height * width]))))


def area(rle: Rle) -> int:
    """Counts the pixels of a mask."""
    return int(rle.counts[1::2].sum())


def box(rle: Rle) -> tuple[float, float, float, float]:
    """Gives x, y, width, height of the pixels of a mask; zeros where it has none."""
    ends = np.cumsum(rle.counts)
    starts, stops = ends[0 : len(ends) - 1 : 2], ends[1::2]
    starts, stops = starts[: len(stops)], stops[: len(starts)]
    kept = stops > starts
    starts, stops = starts[kept], stops[kept] - 1
    if not len(starts):
        return (0.0, 0.0, 0.0, 0.0)
    left, right = starts // rle.height, stops // rle.height
    whole = right > left  # a run that turns into the next column touches both edges
    top = np.where(whole, 0, starts % rle.height).min()
    bottom = np.where(whole, rle.height - 1, stops % rle.height).max()
    x, y = int(left.min()), int(top)
    return (float(x), float(y), float(right.max() - x + 1), float(bottom - y + 1))
