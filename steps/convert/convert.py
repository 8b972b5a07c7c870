"""Converts a dataset folder for a framework: inspects, names the snapshot, writes the target, moves it into place."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.convert.facts import snapshot
from steps.convert.inspection import Inspection, inspect
from steps.convert.problems import DatasetRefused, errors, summary
from steps.convert.write_yolo import write_yolo

TARGETS = ("yolo", "none")
MARKER = "complete.json"  # stands in a converted dataset once it is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A finished conversion: what was found, the snapshot, and counts of what was written."""

    inspection: Inspection
    snapshot: dict[str, Any]
    written: dict[str, Any]


def write_target(found: Inspection, *, target: str, folder: Path, snapshot_id: str) -> dict[str, Any]:
    """Writes the target next to `folder` and renames it there; one that stands complete already is kept."""
    if target == "none":
        return {}
    assert found.dataset is not None
    assert found.split is not None
    mark = {"snapshot_id": snapshot_id, "target": target, "task": found.task, "path": str(folder)}
    with contextlib.suppress(OSError, ValueError):
        stands = json.loads((folder / MARKER).read_bytes())
        if {key: stands.get(key) for key in mark} == mark:
            return dict(stands["written"])
    fresh = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    fresh.mkdir(parents=True)
    try:
        written = write_yolo(found.dataset, found.split, found.files, folder=fresh, final=folder)
        write_json(fresh / MARKER, {**mark, "written": written})
        _replace_folder(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return written


def convert(
    root: Path,
    *,
    work_dir: Path,
    target: str,
    task: str,
    split: Mapping[str, Any] | None = None,
    dataset_id: str = "",
) -> Conversion:
    """Converts `root` into `work_dir`/converted and writes conversion.json; raises DatasetRefused with all problems."""
    report = work_dir / "conversion.json"
    found = inspect(root, task=task, split=split, target=target)
    write_json(report, {**found.report(), "target": target})
    if not found.sound:
        raise DatasetRefused(found.problems)
    assert found.dataset is not None
    assert found.split is not None
    named = snapshot(found.dataset, found.split, version_hash=found.version_hash or "", dataset_id=dataset_id)
    folder = work_dir / "converted"
    written = write_target(found, target=target, folder=folder.absolute(), snapshot_id=named["snapshot_id"])
    write_json(report, {**found.report(), "target": target, "snapshot_id": named["snapshot_id"], "written": written})
    write_json(work_dir / "snapshot.json", named)
    return Conversion(inspection=found, snapshot=named, written=written)


def refusal_text(refusal: DatasetRefused, *, report: Path) -> str:
    """Gives the text of a refused dataset for a person: the first errors, and where all of them stand."""
    count = len(errors(refusal.problems))
    return summary(refusal.problems, report=str(report) if count > 1 else None)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        part.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8", errors="backslashreplace")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _replace_folder(fresh: Path, folder: Path) -> None:
    # A folder cannot be renamed over a full one; the old one steps aside first and is deleted last.
    aside = folder.with_name(f".{folder.name}-old-{uuid.uuid4().hex[:8]}")
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        os.rename(folder, aside)
    os.rename(fresh, folder)
    shutil.rmtree(aside, ignore_errors=True)
