"""Writes classes.json beside converted data: which class each index of it means, for whoever reads it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steps.convert.dataset import Dataset
from steps.convert.write.files import write_text


def write_classes(path: Path, dataset: Dataset, more: Sequence[Mapping[str, Any]] | None = None) -> None:
    """Writes index, id and name of each class in the order of the index; `more` adds a target's own words to each."""
    known = [{"index": c.index, "id": c.id, "name": c.name} for c in dataset.classes]
    extra = more or []
    rows = [{**base, **(extra[at] if at < len(extra) else {})} for at, base in enumerate(known)]
    # What the target has beyond the dataset's classes, such as a background, stands behind them.
    rows += [dict(row) for row in extra[len(known) :]]
    write_text(path, json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
