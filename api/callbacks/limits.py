"""Holds back what one job sends too fast."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from api.errors import TooMany

_BUCKETS = 10_000


class RateLimit:
    """A bucket per key that fills at `rate` a second and holds one second's worth; for one event loop or one lock."""

    def __init__(self, rate: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = max(rate, 1.0)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, *, count: int = 1) -> None:
        """Takes `count` out of a key's bucket; raises TooMany (429, Retry-After in whole seconds) where it is empty.

        A batch that is let in may leave the bucket in debt: one larger than a burst would else be refused forever.
        """
        now = self._clock()
        left, then = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        admitted = left >= 1
        self._buckets[key] = (left - count if admitted else left, now)
        if len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)
        if not admitted:
            wait = max(1, math.ceil((1 - left) / self._rate))
            raise TooMany(
                f"job {key} sends more than {self._rate:g} a second",
                cure=f"send less often, or several in one body; try again in {wait} s",
                headers={"Retry-After": str(wait)},
            )
