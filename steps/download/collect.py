"""Brings a dataset into a folder: its documents, then what they name; nothing else stays there."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from steps.download.fetch import Facts, Progress, fetch, linkable
from steps.download.plan import Plan, plan_documents, plan_images
from steps.download.source import Fact, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A dataset as it came: what was planned, how many files were moved, what is known of each file."""

    documents: Plan
    images: Plan
    moved: int
    facts: Facts

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return self.documents.size + self.images.size


def collect(
    source: Source,
    prefix: str,
    *,
    folder: Path,
    journal: Path,
    progress: Progress,
    room: Callable[[int, int], None] = lambda size, linked: None,
    known: Mapping[str, Fact] | None = None,
    older: str | None = None,
    mode: int = 0o666,
) -> Collected:
    """Fetches a dataset; `room` hears before the first image how many bytes will come, and how many are only linked."""
    documents = plan_documents(source)
    again = folder.exists()
    moved, facts = fetch(
        documents, folder=folder, journal=journal, progress=_silent, known=known, older=older, mode=mode, last=False
    )
    images = plan_images(source, documents, prefix=prefix, read=lambda name: (folder / name).read_bytes())
    total = sum(item.size for item in images.items if item.source.copies)
    linked = sum(item.size for item in images.items if known and linkable(item, known))
    room(total - linked, linked)
    more, also = fetch(images, folder=folder, journal=journal, progress=progress, known=known, older=older, mode=mode)
    facts |= also
    if again:
        _clear(folder, facts)
    return Collected(documents=documents, images=images, moved=moved + more, facts=facts)


def _clear(folder: Path, facts: Facts) -> None:
    """Removes what an earlier try left: files that were cut off, and those that the dataset has no longer."""
    for path, _, names in os.walk(folder):
        below = os.path.relpath(path, folder)
        for name in names:
            if (name if below == "." else f"{below}/{name}") not in facts:
                os.unlink(os.path.join(path, name))


def _silent(done: int, total: int) -> None:
    """Says nothing: documents are few."""
