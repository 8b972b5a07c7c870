"""What jobs fetched before: looked up by version or listing, locked while it is made, leased while it is read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

TYPE_CHECKING = False  # `typing` costs a known version more time than the look into the cache
if TYPE_CHECKING:
    from typing import Any

MARKER = "complete.json"  # stands in an entry; an entry without one is none
PLANNED = "planned.json"  # stands in a part: the bytes that it will have
LEASE_SECONDS = 7 * 24 * 3600  # a job that never released its lease reads no longer
FOLDERS = ("fetched", "converted", "versions", "places", "listings", "leases", "locks", "trash")
VERSION = re.compile(r"[A-Za-z0-9_:.-]{1,128}")


class Entry:
    """A dataset in the cache: its name there, its folder, and what its marker says."""

    __slots__ = ("facts", "folder", "name")

    def __init__(self, name: str, folder: Path, facts: dict[str, Any]) -> None:
        self.name, self.folder, self.facts = name, folder, facts

    @property
    def dataset(self) -> Path:
        """The folder with the dataset's files."""
        return self.folder / "dataset"


class Cache:
    """A folder that many jobs use at once; whatever process is killed, what stands in it is whole."""

    def __init__(self, root: Path, *, job: str) -> None:
        self.root, self._job = root, re.sub(r"[^\w.-]", "_", job)[:100] or "job"
        for name in FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        probe = root / "locks" / f".probe.{os.urandom(4).hex()}"
        with open(probe, "xb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                probe.unlink()

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Holds an entry's lock, which ends with its process; gives whether it is held, always so where it waits."""
        path = self.root / "locks" / name
        while True:
            with open(path, "ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                except BlockingIOError:
                    yield False
                    return
                # An eviction removes the lock's file with the entry: then this one locks nothing.
                if _same(file.fileno(), path):
                    yield True
                    return

    def use(self, name: str) -> Entry | None:
        """Gives an entry and leases it for the job; None where there is none. To be called with its lock held."""
        folder = self.root / "fetched" / name
        facts = read_json(folder / MARKER)
        if facts is None or not (folder / "dataset").is_dir():
            return None
        lease = self.root / "leases" / name / self._job
        lease.parent.mkdir(exist_ok=True)
        lease.touch()
        os.utime(folder / MARKER)  # the least recently used entry goes first
        return Entry(name, folder, facts)

    def of_version(self, *names: str) -> Entry | None:
        """Gives the entry that held a dataset version or a snapshot when a job last looked."""
        for name in names:
            if not VERSION.fullmatch(name):
                continue
            with contextlib.suppress(OSError, ValueError):
                entry = (self.root / "versions" / name).read_text().strip()
                if re.fullmatch(r"[0-9a-f]{32}", entry):
                    with self.lock(entry):
                        if found := self.use(entry):
                            return found
                        (self.root / "locks" / entry).unlink(missing_ok=True)
        return None

    def lookup(self, name: str) -> Entry | None:
        """Gives an entry and leases it; None where there is none."""
        with self.lock(name):
            return self.use(name)

    def part(self, name: str) -> Path:
        """Gives the folder in which an entry is made; what a killed process left there is gone on with."""
        folder = self.root / "fetched" / f".part-{name}"
        (folder / "dataset").mkdir(parents=True, exist_ok=True)
        return folder

    def keep(self, name: str, facts: dict[str, Any]) -> Entry:
        """Makes an entry of its part, visible whole and at once. To be called with its lock held."""
        part, folder = self.part(name), self.root / "fetched" / name
        write_json(part / MARKER, facts)
        if folder.exists():  # without a marker, or it would have been used
            self.throw(folder)
        os.rename(part, folder)
        entry = self.use(name)
        assert entry is not None
        return entry

    def throw(self, folder: Path) -> Path:
        """Takes an entry away at once; its files are removed by `sweep`."""
        aside = self.root / "trash" / f"{folder.name.lstrip('.')}-{os.urandom(4).hex()}"
        os.rename(folder, aside)
        return aside

    def sweep(self) -> None:
        """Removes the files of what was taken away, by whomever."""
        for path in (self.root / "trash").iterdir():
            shutil.rmtree(path, ignore_errors=True)

    def leased(self, name: str) -> bool:
        """Tells whether a job may still read an entry."""
        return any(time.time() - at < LEASE_SECONDS for at in _times(self.root / "leases" / name))

    def note(self, kind: str, name: str, value: Any) -> None:
        """Keeps a small fact: `listings` what else belongs to a listing, `places` the last entry of a place."""
        write_json(self.root / kind / name, value)

    def noted(self, kind: str, name: str) -> Any:
        """Gives a small fact, None where there is none."""
        return read_json(self.root / kind / name)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON whole or not at all."""
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        part.write_text(json.dumps(value), encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """Reads JSON, None where there is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _same(descriptor: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False


def _times(folder: Path) -> list[float]:
    try:
        return [entry.stat().st_mtime for entry in os.scandir(folder)]
    except OSError:
        return []
