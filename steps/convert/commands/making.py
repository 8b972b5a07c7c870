"""Writes a target into a folder of its own, for every command that makes one."""

from pathlib import Path
from typing import Any

from steps.convert.check.files import Progress
from steps.convert.check.inspection import Inspection
from steps.convert.convert import record
from steps.convert.write.target import write_target


def make(
    found: Inspection,
    *,
    target: str,
    folder: Path,
    final: Path,
    labels_only: bool = False,
    copy: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes the target of a sound dataset into `folder`; gives the record of the conversion."""
    assert found.dataset is not None
    assert found.split is not None
    written = write_target(
        found.dataset,
        found.split,
        found.files,
        target=target,
        folder=folder,
        final=final,
        labels_only=labels_only,
        copy=copy,
        progress=progress,
    )
    # Only a job keeps what it trained on as a snapshot: an id told here would be known to nobody.
    made = record(found, target=target, snapshot_id=None, written=written)
    return made | {"labels_only": True} if labels_only else made
