"""Warns who submits a job when the last check of its dataset found errors: else a step tells of them, minutes later."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Mapping
from typing import Any

from api.cli.client import DATASETS, Api, part
from api.cli.datasets.shown import many
from api.cli.fault import Fault
from api.cli.output import ago


def warn(api: Api, body: Mapping[str, Any], *, json: bool) -> None:
    """Say on standard error, which no script reads as the answer, what is known to be wrong with the dataset."""
    told = _warning(api, body)
    if told and json:
        print(jsonlib.dumps(told, ensure_ascii=False), file=sys.stderr)
    elif told:
        print(f"warning: {told['warning']}\ncure:  {told['cure']}", file=sys.stderr)


def _warning(api: Api, body: Mapping[str, Any]) -> dict[str, str] | None:
    named = body.get("dataset")
    # What lies at a path was never checked by the platform; what a snapshot holds was trained on before.
    if not isinstance(named, str) or "/" in named or body.get("snapshot"):
        return None
    try:
        dataset = api.get(f"{DATASETS}/{part(named)}")
    except Fault:
        return None  # the job is accepted by now: that no more can be asked makes no failure of it
    report = dataset.get("check_report") or {}
    count = int(report.get("error_count", len(report.get("errors") or [])))
    if not count:
        return None
    return {
        "warning": f"the last check of dataset {named} found {many(count, 'error')} ({ago(dataset['checked_at'])}); "
        "unless they have been mended since, the job may fail at its own check",
        "cure": f"see them: tiphys dataset check {named}; repair it: tiphys dataset fix {named}",
    }
