"""Remembers what failed lately and when it is worth another try."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(slots=True)
class _Trouble:
    times: int
    not_before: datetime


class Patience:
    """Doubling pauses per key, from `first` to `longest`; forgotten with the first success."""

    def __init__(self, *, first: timedelta, longest: timedelta) -> None:
        self._first = first
        self._longest = longest
        self._troubles: dict[Hashable, _Trouble] = {}

    def ready(self, key: Hashable, now: datetime) -> bool:
        """Tells whether a key's pause is over."""
        trouble = self._troubles.get(key)
        return trouble is None or now >= trouble.not_before

    def resting(self, now: datetime) -> set[Any]:
        """Returns the keys whose pause goes on."""
        return {key for key, trouble in self._troubles.items() if now < trouble.not_before}

    def failed(self, key: Hashable, now: datetime) -> int:
        """Begins a key's next pause; returns how often it has failed in a row."""
        times = self.times(key) + 1
        pause = min(self._first * 2 ** min(times - 1, 20), self._longest)
        self._troubles[key] = _Trouble(times, now + pause)
        return times

    def succeeded(self, key: Hashable) -> None:
        """Forgets a key's failures."""
        self._troubles.pop(key, None)

    def times(self, key: Hashable) -> int:
        """Returns how often a key has failed in a row."""
        trouble = self._troubles.get(key)
        return trouble.times if trouble else 0

    def keep_only(self, keys: set[Hashable]) -> None:
        """Forgets every key that is not among these: what is over needs no memory."""
        for key in self._troubles.keys() - keys:
            del self._troubles[key]
