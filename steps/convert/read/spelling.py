"""Spells lists of JSON objects canonically without parsing their numbers: most stand there canonically already."""

import contextlib
import itertools
import json
import re
from typing import Any

import msgspec
import numpy as np

from steps.convert.dataset import Bools, Ints
from steps.convert.version import canonical

OBJECTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+(?:e-?\d+)?|e-?\d+)')
QUOTE, COMMA, MINUS, POINT, ZERO = b'",-.0'
OPENED, CLOSED, LIST_CLOSED = b"{}]"
EXACT = 16  # characters, with the point: shorter decimals are the shortest for their number
DISTRUST = 16
MOST_KEYS = 64
WHITE = (b" ", b"\n", b"\t", b"\r")
PLAIN = re.compile(r"[^\x00-\x1f\\\"\ud800-\udfff]+")  # keys that a type can have
SHORT = 1 << 14  # bytes: what is shorter is looked through before numpy is asked


class Speller:
    """Spells one list after the other; where numbers of all digits come up, it does not try the short way each time."""

    def __init__(self) -> None:
        self._skip = 0
        self._keys: list[str] = []
        self._decoder: msgspec.json.Decoder[Any] | None = None

    def spell(self, text: bytes) -> bytes:
        """Gives the text of a list as `canonical` gives it for its value."""
        if self._skip:
            self._skip -= 1
        elif spelled := _copied(self._sorted(text)):
            return spelled
        else:
            self._skip = DISTRUST
        return parsed(text)

    def _sorted(self, text: bytes) -> bytes:
        """Gives the list with the keys of its objects sorted, their values as they are; empty for another list."""
        try:
            if self._decoder is not None:
                with contextlib.suppress(msgspec.ValidationError):
                    return msgspec.json.encode(self._decoder.decode(text))
            objects = OBJECTS.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return b""
        # What has the same keys throughout, as most documents, is sorted by a type made for them: no dictionaries.
        if len(self._keys) <= MOST_KEYS:
            self._keys = sorted({*self._keys, *itertools.chain.from_iterable(objects)})
        if len(self._keys) <= MOST_KEYS and all(map(PLAIN.fullmatch, self._keys)):
            names = {f"f{number}": key for number, key in enumerate(self._keys)}
            fields: list[Any] = [(name, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for name in names]
            record = msgspec.defstruct("Entry", fields, rename=names, forbid_unknown_fields=True, gc=False)
            self._decoder = msgspec.json.Decoder(list[record])  # type: ignore[valid-type]
        return msgspec.json.encode(objects, order="sorted")


def parsed(text: bytes) -> bytes:
    """Gives JSON text canonically by parsing it."""
    try:
        spelled = msgspec.json.encode(msgspec.json.decode(text), order="sorted")
    except (RecursionError, OverflowError, ValueError):
        with contextlib.suppress(RecursionError, ValueError):
            return canonical(json.loads(text))
        return text  # a number of thousands of digits: it has this spelling alone
    return spelled if len(spelled) < SHORT and _plain(spelled) else _respelled(spelled)


def _plain(text: bytes) -> bool:
    """Whether a short text holds no fraction and no exponent, as masks by run lengths do."""
    at = text.find(b"e")
    while at > 0 and not 48 <= text[at - 1] <= 57:
        at = text.find(b"e", at + 1)
    return at <= 0 and b"." not in text


def _copied(text: bytes) -> bytes | None:
    """Gives sorted objects with what they hold as it stands there; None where a number may need another spelling."""
    if not text or b"\\" in text:
        return None
    copied = msgspec.json.format(text, indent=-1) if any(white in text for white in WHITE) else text
    codes = np.frombuffer(copied, dtype=np.uint8)
    quotes = np.flatnonzero(codes == QUOTE)
    inner = _inner_objects(codes, quotes)
    if inner:
        parts, at = [], 0
        for begin, end in inner:
            parts += [copied[at:begin], parsed(copied[begin:end])]
            at = end
        copied = b"".join([*parts, copied[at:]])
        codes = np.frombuffer(copied, dtype=np.uint8)
        quotes = np.flatnonzero(codes == QUOTE)
    if b"0.0000" in copied or _doubtful(codes, quotes):
        return None
    return _without_zeros(copied, codes, quotes)


def _outside(places: Ints, quotes: Ints) -> Ints:
    return places[np.searchsorted(quotes, places) % 2 == 0] if len(places) else places


def _inner_objects(codes: np.ndarray, quotes: Ints) -> list[tuple[int, int]]:
    """Gives where the objects inside of the list's objects stand: their keys are to be sorted as well."""
    braces = _outside(np.flatnonzero((codes == OPENED) | (codes == CLOSED)), quotes)
    opened = codes[braces] == OPENED
    depth = np.cumsum(np.where(opened, 1, -1))
    begin, end = braces[opened & (depth == 2)], braces[~opened & (depth == 1)] + 1
    return list(zip(begin.tolist(), end.tolist(), strict=True))


def _doubtful(codes: np.ndarray, quotes: Ints) -> bool:
    """Whether a number has an exponent, or so many digits that it may not be the shortest."""
    digits = (codes - np.uint8(ZERO)) < 10
    exponents = digits[:-1] & ((codes[1:] | 32) == ord("e"))
    if len(_outside(np.flatnonzero(exponents), quotes)):
        return True
    run: Bools = digits | (codes == POINT)
    width = 1
    while width < EXACT:
        run = run[:-width] & run[width:]
        width *= 2
    run = run[:-1] & run[1:]
    return bool(run.any()) and len(_outside(np.flatnonzero(run), quotes)) > 0


def _without_zeros(text: bytes, codes: np.ndarray, quotes: Ints) -> bytes:
    """Takes the zeros from the ends of fractions, with a point that ends a number then, and the sign from -0."""
    after = codes[1:]
    ended = (codes[:-1] == ZERO) & ((after == COMMA) | (after == LIST_CLOSED) | (after == CLOSED))
    ends = _outside(np.flatnonzero(ended), quotes)
    point = np.full(len(ends), -1)
    zeros = np.zeros(len(ends), dtype=np.int64)
    trailing = np.ones(len(ends), dtype=bool)
    looking = np.arange(len(ends))
    for back in range(1, EXACT + 2):
        here = codes[ends[looking] - back]
        zeros[looking] += trailing[looking]
        trailing[looking] &= here == ZERO
        point[looking[here == POINT]] = back
        looking = looking[(here - np.uint8(ZERO)) < 10]
        if not len(looking):
            break
    kept = np.ones(len(codes), dtype=bool)
    fraction = point > 0
    minus = ends[~fraction & (codes[ends - 1] == MINUS)] - 1
    for count in np.unique(zeros[fraction]).tolist():
        for back in range(count):
            kept[ends[fraction & (zeros == count)] - back] = False
    whole = fraction & (zeros == point)
    points = ends[whole] - point[whole]
    kept[points] = False
    nothing = points[(codes[points - 1] == ZERO) & (codes[points - 2] == MINUS)]
    kept[minus] = kept[nothing - 2] = False
    return text if not fraction.any() and not len(minus) else codes[kept].tobytes()


def _respelled(text: bytes) -> bytes:
    """Spells numbers as Python does: msgspec writes 5.0, 1e16 and 0.00001 for 5, 10000000000000000 and 1e-05."""
    codes = np.frombuffer(text, dtype=np.uint8)
    exponents = (codes[1:] == ord("e")) & ((codes[:-1] - np.uint8(ZERO)) < 10)
    if exponents.any() or b"0.0000" in text or b"\\" in text:
        return TOKEN.sub(_respelled_token, text)
    return _without_zeros(text, codes, np.flatnonzero(codes == QUOTE))


def _respelled_token(found: re.Match[bytes]) -> bytes:
    token = found.group()
    return token if token.startswith(b'"') else canonical(float(token))
