"""Reads what a real controller wrote: final workflows in endings/, every status on the way in looks/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def ending(scenario: str) -> dict[str, Any]:
    """Returns the last state of a recorded workflow, trimmed to what is read of it."""
    found: dict[str, Any] = json.loads((HERE / "endings" / f"{scenario}.json").read_text())
    return found


def looks(scenario: str) -> list[dict[str, Any]]:
    """Returns every status of a recorded workflow in the order it was written."""
    return [json.loads(line) for line in (HERE / "looks" / f"{scenario}.jsonl").read_text().splitlines()]
