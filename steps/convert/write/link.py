"""Puts files of the dataset under a second name without copying them where that is safe."""

import errno
import fcntl
import os
import shutil
from collections import Counter
from pathlib import Path

FICLONE = 0x40049409  # Linux: share the blocks of another file until one of them is written
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Linker:
    """Gives files second names: by hard link, else reflink, else symlink, else copy; counts which it was.

    A source that is reached through a link belongs to someone else: it gets a symlink to its end, never a hard link.
    What lies in the cache belongs to us, however it is reached.
    """

    def __init__(self, *, copy: bool = False) -> None:
        self.copy = copy
        self.how: Counter[str] = Counter()
        cache = os.environ.get("CACHE_DIR")
        self._cache = os.path.realpath(cache) + os.sep if cache else None
        self._folders: dict[str, str] = {}
        self._hard = self._clones = True  # until the file system refuses one: then it is asked no more

    def link(self, source: str, target: str, *, copy: bool = False) -> None:
        """Puts `source` under the new name `target`; `copy` makes a file of its own that may be written to."""
        real, own = self._end(source)
        if copy or self.copy:
            kind = "copy"
            if not self._reflink(real, target):
                _copy(real, target)
        elif own and self._hardlink(real, target):
            kind = "hardlink"
        elif own and self._reflink(real, target):
            kind = "reflink"
        elif _symlink(real, target):
            kind = "symlink"
        else:
            kind = "copy"
            _copy(real, target)
        self.how[kind] += 1

    def _end(self, source: str) -> tuple[str, bool]:
        """Follows links to their end, each folder once; tells whether the file may get a hard link."""
        folder, name = os.path.split(os.path.abspath(source))
        real_folder = self._folders.get(folder)
        if real_folder is None:
            real_folder = self._folders[folder] = os.path.realpath(folder)
        real = os.path.join(real_folder, name)
        if os.path.islink(real):
            real = os.path.realpath(real)
            return real, bool(self._cache and real.startswith(self._cache))
        return real, folder == real_folder or bool(self._cache and real.startswith(self._cache))

    def _hardlink(self, source: str, target: str) -> bool:
        if not self._hard:
            return False
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno in FULL or error.errno == errno.EEXIST:
                raise
            # Another file system, or one without links, refuses them all; too many links of one file is its own matter.
            self._hard = error.errno not in {errno.EXDEV, *NO_LINKS}
            return False
        return True

    def _reflink(self, source: str, target: str) -> bool:
        if not self._clones:
            return False
        with open(source, "rb") as origin, open(target, "xb") as clone:
            try:
                fcntl.ioctl(clone.fileno(), FICLONE, origin.fileno())
            except OSError as error:
                os.unlink(target)
                if error.errno in FULL:
                    raise
                self._clones = error.errno not in {errno.EXDEV, errno.ENOTTY, *NO_LINKS}
                return False
        return True


def link_file(source: str, target: str, *, copy: bool = False) -> str:
    """Links one file as `target`, or copies it; gives how: hardlink, reflink, symlink or copy."""
    linker = Linker()
    linker.link(source, target, copy=copy)
    return next(iter(linker.how))


def own_folder(path: Path) -> str:
    """Gives an existing folder's name with a slash, ready for names to be put behind it."""
    path.mkdir(parents=True, exist_ok=True)
    return str(path) + os.sep


def _symlink(source: str, target: str) -> bool:
    try:
        os.symlink(source, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return False
    return True


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as origin, open(target, "xb") as fresh:
        shutil.copyfileobj(origin, fresh, 1 << 20)
