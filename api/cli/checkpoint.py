"""Fetches a checkpoint to a file: checked by its SHA-256, and never over another file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from api.cli.client import JOBS, Api, part
from api.cli.fault import Exit, Fault
from api.cli.output import console, say_json, size


def download(api: Api, job_id: str, kind: str, items: list[dict[str, Any]], to: Path | None, *, json: bool) -> None:
    """Fetch one of a job's checkpoints, `items`, to a file or into a folder, unless it lies there already."""
    told: dict[str, Any] = next((c for c in items if c["kind"] == kind), {})
    name = str(told.get("uri", kind)).rsplit("/", 1)[-1] or part(kind)
    target = (to / name if to and to.is_dir() else to) or Path(name)
    recorded: str | None = told.get("sha256")
    # Asked before anything is fetched; what has no recorded SHA-256 can be compared only afterwards.
    there = target.exists() and recorded is not None and _same(target, recorded, kind)
    digest = recorded if there and recorded else _fetch(api, job_id, kind, target, recorded)
    if json:
        return say_json({"kind": kind, "path": str(target), "sha256": digest})
    proof = "SHA-256 ok" if recorded else "no SHA-256 was recorded"
    words = f"{target} ({size(target.stat().st_size)}, {proof})"
    console().print(f"{words} is there already" if there else words, markup=False, soft_wrap=True)


def _fetch(api: Api, job_id: str, kind: str, target: Path, recorded: str | None) -> str:
    partial = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    try:
        with partial.open("wb") as file:
            for piece in api.stream(f"{JOBS}/{job_id}/checkpoints/{part(kind)}"):
                file.write(piece)
                digest.update(piece)
        if recorded not in (None, digest.hexdigest()):
            raise Fault(
                f"checkpoint {kind} of job {job_id} arrived with another SHA-256 than was recorded",
                cure="try again: training may have replaced it meanwhile",
            )
        if not (target.exists() and _same(target, digest.hexdigest(), kind)):
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return digest.hexdigest()


def _same(target: Path, digest: str, kind: str) -> bool:
    """True; raises Fault where the file that lies there is another one."""
    with target.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == digest:
            return True
    raise Fault(
        f"{target} is there already, and is not checkpoint {kind} of this job (its SHA-256 differs)",
        cure="move it away, or fetch to another place: --to FILE or FOLDER",
        exit_code=Exit.USAGE,
    )
