"""Knows the digests of image files that were read before: by the fetch, or by an earlier look at the same folder."""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steps.convert.check.files import ImageFile

Known = dict[str, tuple[int, int, str]]  # relative name: size, time of change in ns, SHA-256


class Digests:
    """What is known of a dataset's files; `known` is what an inspection takes."""

    def __init__(self, work_dir: Path, *, root: Path, uri: str = "", cache_dir: str | None = None) -> None:
        self._root, self._kept = root, None
        self.fetched = _read(work_dir / "digests.json")
        self.known: Known = self.fetched
        if cache_dir and uri.startswith("file://") and not self.fetched:
            # A folder of this machine is linked, never read by the fetch: its files keep their inode while they last.
            name = hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()[:32]
            self._kept = Path(cache_dir, "digests", name)
            self.known = self._unchanged(_load(self._kept))

    def _unchanged(self, rows: dict[str, Any]) -> Known:
        known: Known = {}
        for name, row in rows.items():
            with contextlib.suppress(OSError, ValueError, TypeError):
                size, mtime, inode, device, digest = row
                facts = os.stat(os.path.join(self._root, name))
                if (facts.st_size, facts.st_mtime_ns, facts.st_ino, facts.st_dev) == (size, mtime, inode, device):
                    known[name] = (size, mtime, digest)
        return known

    def altered(self, files: Sequence[ImageFile]) -> list[str]:
        """Names the files that are no longer as they were fetched."""
        return [
            str(file.key)
            for file in files
            if (fact := self.fetched.get(file.key or "")) and fact[:2] != (file.size, file.mtime_ns)
        ]

    def keep(self, files: Sequence[ImageFile]) -> None:
        """Keeps the digests of a local folder for the next job on it; raises OSError where the cache cannot."""
        if self._kept is None or all(file.key in self.known for file in files if file.digest):
            return
        rows = {}
        for file in files:
            if file.digest and file.path and file.key:
                facts = os.stat(file.path)
                rows[file.key] = [file.size, file.mtime_ns, facts.st_ino, facts.st_dev, file.digest]
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        part = self._kept.with_name(f".{self._kept.name}.{os.urandom(4).hex()}")
        try:
            part.write_text(json.dumps({"files": rows}), encoding="utf-8", errors="surrogatepass")
            os.replace(part, self._kept)
        finally:
            part.unlink(missing_ok=True)


def _load(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())["files"]
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> Known:
    known: Known = {}
    for name, row in _load(path).items():
        with contextlib.suppress(TypeError, IndexError):
            known[name] = (row[0], row[1], row[2])
    return known
