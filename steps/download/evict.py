"""Keeps the cache below its limit: the least recently used goes first, what a job reads never."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from steps.download.cache import MARKER, PLANNED, Cache, read_json
from steps.download.fetch import RESERVE

LIMIT = "50Gi"
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


@dataclass(frozen=True, slots=True)
class Kept:
    """Something that can go: an entry, or the part of one that nobody makes any more."""

    name: str
    folder: Path
    size: int
    used: float


def parse_limit(text: str) -> int | None:
    """Gives a quantity such as 50Gi in bytes, None where the text is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", text.strip().lower())
    return int(float(found[1]) * UNITS[found[2] or ""]) if found else None


def make_room(
    cache: Cache, size: int, *, limit: int, log: Callable[[str], None], spared: frozenset[str] = frozenset()
) -> bool:
    """Evicts until `size` bytes more fit below the limit and on the disk; tells whether they do.

    `spared` are what is being made, whose size is counted in `size`, and what it is made of.
    """
    if size > limit:
        return False
    kept = sorted((one for one in _kept(cache) if one.name not in spared), key=lambda one: one.used)
    total = sum(one.size for one in kept)
    cache_full = total + size > limit
    short = shutil.disk_usage(cache.root).free < size + RESERVE
    if short:
        cache.sweep()
    for one in kept:
        short = shutil.disk_usage(cache.root).free < size + RESERVE
        cache_full = total + size > limit
        if not (short or cache_full):
            break
        if _evict(cache, one):
            log(f"{one.name} ({one.size / 1e6:.1f} MB) leaves the cache: it was used least recently")
            total -= one.size
            if short:  # otherwise removed later: a disk that just deleted much is slow to create
                cache.sweep()
    return total + size <= limit and shutil.disk_usage(cache.root).free >= size + RESERVE


def _kept(cache: Cache) -> list[Kept]:
    found = []
    for kind in ("fetched", "converted"):
        for entry in os.scandir(cache.root / kind):
            folder = Path(entry.path)
            facts = read_json(folder / MARKER)
            with contextlib.suppress(OSError):
                if facts is not None:
                    used = (folder / MARKER).stat().st_mtime
                    found.append(Kept(entry.name, folder, int(facts.get("bytes", 0)), used))
                else:
                    # Parts come first: what a killed process left, unless its lock says that it lives.
                    planned = read_json(folder / PLANNED)
                    size = int(planned) if isinstance(planned, int) else _weigh(folder)
                    found.append(Kept(entry.name.removeprefix(".part-"), folder, size, 0.0))
    return found


def _weigh(folder: Path) -> int:
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total


def _evict(cache: Cache, one: Kept) -> bool:
    with cache.lock(one.name, wait=False) as held:
        if not held or cache.leased(one.name):
            return False
        with contextlib.suppress(FileNotFoundError):
            cache.throw(one.folder)
        shutil.rmtree(cache.root / "leases" / one.name, ignore_errors=True)
        (cache.root / "locks" / one.name).unlink(missing_ok=True)
    return True
