"""Keeps converted datasets between jobs: the same content, target, task and split is written once and linked after."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from steps.convert.check.inspection import Inspection
from steps.convert.facts import class_list
from steps.convert.read.listing import is_image
from steps.convert.write.link import Linker

MARKER = "complete.json"  # stands in an entry once it is whole: what was written, and the bytes it takes
SMALL = 1 << 20  # bytes of a file at the top that may name the place where the conversion lies
PLACE = b"@TIPHYS-CONVERTED@"  # stands for that place in the cache

Make = Callable[[], dict[str, Any]]


class Conversions:
    """The conversions of a cache folder; what fails in it is told and costs no job more than the saved time."""

    def __init__(self, cache_dir: Path, *, root: Path, log: Callable[[str, str], None]) -> None:
        self._cache, self._root, self._log = cache_dir, root, log

    def around(self, found: Inspection, *, target: str, folder: Path, final: Path, make: Make) -> dict[str, Any]:
        """Fills the fresh `folder` with the kept conversion, or calls `make` to fill it and keeps that."""
        key = conversion_key(found, target=target)
        with contextlib.ExitStack() as lock:
            try:
                lock.enter_context(self._locked(key))
                if written := self._take(key, folder, final):
                    self._log("INFO", f"the conversion was in the cache ({key[:12]})")
                    return written
            except OSError as error:
                self._warn(error)
                shutil.rmtree(folder)
                folder.mkdir()
                return make()
            written = make()
            try:
                self._keep(key, folder, final, written)
            except OSError as error:
                self._warn(error)
            return written

    def _warn(self, error: OSError) -> None:
        self._log("WARNING", f"the cache {self._cache} is not used for the conversion: {error}")

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        for name in ("locks", "converted", "trash"):
            (self._cache / name).mkdir(parents=True, exist_ok=True)
        path = self._cache / "locks" / key
        while True:
            with open(path, "ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                # An eviction removes the lock's file with the entry: then this one locks nothing.
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                        yield
                        return

    def _take(self, key: str, folder: Path, final: Path) -> dict[str, Any] | None:
        entry = self._cache / "converted" / key
        try:
            marker = json.loads((entry / MARKER).read_bytes())
            images = json.loads((entry / "images.json").read_bytes())
        except (OSError, ValueError):
            return None
        os.utime(entry / MARKER)  # the least recently used entry goes first; not while its lock is held
        linker = Linker()
        for path, folders, names in os.walk(entry / "files"):
            below = folder / os.path.relpath(path, entry / "files")
            for name in folders:
                (below / name).mkdir()
            for name in names:
                _give(os.path.join(path, name), str(below / name), of=os.path.relpath(path, entry / "files"))
        for name, image in images.items():
            linker.link(f"{self._root}/{image}", f"{folder}/{name}")
        for name in marker["placed"]:
            _place(folder / name, PLACE, str(final).encode())
        written = dict(marker["written"])
        if isinstance(written.get("links"), dict):
            written["links"] = dict(linker.how)
        return written

    def _keep(self, key: str, folder: Path, final: Path, written: dict[str, Any]) -> None:
        part = self._cache / "converted" / f".part-{key}"
        shutil.rmtree(part, ignore_errors=True)
        (part / "files").mkdir(parents=True)
        images, size, placed, known = {}, 0, [], _inodes(self._root)
        for path, folders, names in os.walk(folder):
            below = os.path.relpath(path, folder)
            for name in folders:
                (part / "files" / below / name).mkdir()
            for name in names:
                source = os.path.join(path, name)
                facts = os.stat(source)
                relative = name if below == "." else f"{below}/{name}"
                if image := known.get((facts.st_dev, facts.st_ino)):
                    images[relative] = image
                    continue
                target = part / "files" / relative
                size += facts.st_size
                _give(source, str(target), of=below)
                if below == "." and facts.st_size < SMALL and _place(target, str(final).encode(), PLACE):
                    placed.append(relative)
        (part / "images.json").write_text(json.dumps(images), encoding="utf-8", errors="surrogatepass")
        marker = {"written": written, "bytes": size, "placed": placed}
        (part / MARKER).write_text(json.dumps(marker), encoding="utf-8")
        entry = self._cache / "converted" / key
        if entry.exists():  # without a marker, or it would have been taken
            os.rename(entry, self._cache / "trash" / f"{key}-{os.urandom(4).hex()}")
        os.rename(part, entry)


def conversion_key(found: Inspection, *, target: str) -> str:
    """Names a conversion by all that it depends on: content, target, task, split, and this program itself."""
    assert found.split is not None
    digest = hashlib.sha256()
    classes = json.dumps(class_list(found.dataset)) if found.dataset else ""
    for word in (_program(), str(found.version_hash), target, found.task, classes):
        digest.update(f"{word}\0".encode())
    for part, ids in found.split.parts().items():
        digest.update(f"{part}:{','.join(map(str, ids))}\0".encode())
    return digest.hexdigest()[:32]


def _program() -> str:
    digest, home = hashlib.sha256(), Path(__file__).parent
    for path in sorted(home.rglob("*.py")):
        digest.update(f"{path.relative_to(home)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _inodes(root: Path) -> dict[tuple[int, int], str]:
    """Gives every file of the dataset by what identifies it under any name."""
    found, start = {}, os.fspath(root)
    for path, _, names in os.walk(start, followlinks=True):
        below = os.path.relpath(path, start)
        for name in names:
            facts = os.stat(os.path.join(path, name))
            found[facts.st_dev, facts.st_ino] = name if below == "." else f"{below}/{name}"
    return found


def _give(source: str, target: str, *, of: str) -> None:
    """Links a converted file, or copies it where it is a picture: these were copied to be written to."""
    if is_image(source) and of.split(os.sep)[0] != "masks":
        shutil.copyfile(source, target)
    else:
        _link(source, target)


def _link(source: str, target: str) -> None:
    """Gives a file a second name, or copies it, so that the first name may go."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _place(path: Path, old: bytes, new: bytes) -> bool:
    """Writes one place for another into a small file, under a new inode: the other name keeps what it says."""
    raw = path.read_bytes()
    if old not in raw:
        return False
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    part.write_bytes(raw.replace(old, new))
    os.replace(part, path)
    return True
