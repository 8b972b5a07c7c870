"""A column of ids as they stand in documents: whole numbers mostly, texts sometimes, nonsense rarely."""

from array import array
from typing import Any

import numpy as np

from steps.convert.dataset import Ints
from steps.convert.read.fields import LARGEST, as_id

NONE = -(2**63)  # stands in the numbers where an id is none


class Refs:
    """Collects ids; by row, `odd` holds what is no whole number, `texts` what is a text, as they were written."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self.odd: dict[int, Any] = {}
        self.texts: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, values: list[Any]) -> None:
        """Adds ids in order; texts and floats that are whole numbers count as such."""
        try:
            fresh = array("q", values)
            if fresh and not (min(fresh) > -LARGEST and max(fresh) < LARGEST):
                raise OverflowError
        except (TypeError, OverflowError):
            start = len(self._numbers)
            fresh = array("q")
            for row, value in enumerate(values, start):
                number = as_id(value)
                fresh.append(NONE if number is None else number)
                if number is None:
                    self.odd[row] = value
                if isinstance(value, str):
                    self.texts[row] = value
        self._numbers.extend(fresh)

    def numbers(self) -> Ints:
        """Gives the ids as numbers, NONE where there is none."""
        return np.frombuffer(self._numbers, dtype=np.int64) if self._numbers else np.empty(0, dtype=np.int64)

    def all_texts(self) -> bool:
        """Whether every id is a text, and not every one a number: names such as UUIDs."""
        return bool(self.odd) and len(self.texts) == len(self._numbers)

    def shown(self, row: int) -> Any:
        """Gives one id as it was written."""
        return self.odd[row] if row in self.odd else self._numbers[row]

    def told(self, row: int) -> int | str | None:
        """Gives one id for a finding, None where it is nothing to name."""
        value = self.shown(row)
        return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None
