"""Converts a dataset folder for a framework: inspects, names the snapshot, writes the target, moves it into place."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from steps.convert.check.digests import Known
from steps.convert.check.files import Progress
from steps.convert.check.inspection import Inspection, inspect
from steps.convert.facts import snapshot
from steps.convert.problems import DatasetRefused, errors, summary
from steps.convert.write.target import TARGETS, write_target

__all__ = ["TARGETS", "Conversion", "convert", "place_target", "record", "refusal_text", "replace_folder", "write_json"]

Around = Callable[..., dict[str, Any]]
MARKER = "complete.json"  # stands in a converted dataset once it is whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A finished conversion: what was found, the snapshot, and counts of what was written."""

    inspection: Inspection
    snapshot: dict[str, Any]
    written: dict[str, Any]


def place_target(
    found: Inspection,
    *,
    target: str,
    folder: Path,
    snapshot_id: str,
    progress: Progress | None = None,
    around: Around | None = None,
) -> dict[str, Any]:
    """Writes the target next to `folder` and renames it there; one that stands complete already is kept.

    `around` is asked to fill the fresh folder, with what it has kept or by calling `make`.
    """
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
    make = partial(
        write_target,
        found.dataset, found.split, found.files, target=target, folder=fresh, final=folder, progress=progress,
    )  # fmt: skip
    try:
        written = around(found, target=target, folder=fresh, final=folder, make=make) if around else make()
        written = {**written, "proof": _with_changes(found, written.get("proof"))}
        write_json(fresh / MARKER, {**mark, "written": written})
        replace_folder(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return written


def record(found: Inspection, *, target: str, snapshot_id: str | None, written: Mapping[str, Any]) -> dict[str, Any]:
    """Gives what conversion.json holds: the findings, the snapshot, what was written, and the proof."""
    out = {key: value for key, value in written.items() if key != "proof"}
    proof = _with_changes(found, written.get("proof"))
    facts = {"target": target, "snapshot_id": snapshot_id, "written": out, "proof": proof}
    return {**found.report(), **facts}


def _with_changes(found: Inspection, proof: dict[str, Any] | None) -> dict[str, Any] | None:
    """Adds what was cut at the images' edges, or taken as not given, before the writer saw it."""
    if not proof or not found.changed:
        return proof
    return {**proof, "lossless": False, "changed": {**proof["changed"], **found.changed}}


def convert(
    root: Path,
    *,
    work_dir: Path,
    target: str,
    task: str,
    split: Mapping[str, Any] | None = None,
    dataset_id: str = "",
    progress: Progress | None = None,
    digests: Known | None = None,
    around: Around | None = None,
) -> Conversion:
    """Converts `root` into `work_dir`/converted and writes conversion.json; raises DatasetRefused with all problems."""
    report = work_dir / "conversion.json"
    found = inspect(root, task=task, split=split, target=target, digests=digests, progress=progress)
    write_json(report, {**found.report(), "target": target})
    if not found.sound:
        raise DatasetRefused(found.problems)
    assert found.dataset is not None
    assert found.split is not None
    named = snapshot(found.dataset, found.split, version_hash=found.version_hash or "", dataset_id=dataset_id)
    folder = work_dir / "converted"
    written = place_target(
        found,
        target=target,
        folder=folder.absolute(),
        snapshot_id=named["snapshot_id"],
        progress=progress,
        around=around,
    )
    write_json(report, record(found, target=target, snapshot_id=named["snapshot_id"], written=written))
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


def replace_folder(fresh: Path, folder: Path) -> None:
    """Gives a fresh folder the name of another, which is deleted after it has stepped aside."""
    # A folder cannot be renamed over a full one; the old one steps aside first and is deleted last.
    aside = folder.with_name(f".{folder.name}-old-{uuid.uuid4().hex[:8]}")
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        os.rename(folder, aside)
    os.rename(fresh, folder)
    shutil.rmtree(aside, ignore_errors=True)
