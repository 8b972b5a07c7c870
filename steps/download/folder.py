"""A dataset in a folder of this machine: its files are linked, never copied, and no link may leave the folder."""

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from steps.download.source import LINKED, Fact, part_of, refused, too_long

WAYS = 100  # by links into one folder: from folder to folder they double with each


class Folder:
    """A `file://` prefix."""

    copies = False
    threads = 1

    def __init__(self, root: Path, *, uri: str) -> None:
        self.uri = uri
        self._root = os.path.realpath(root)
        self._sizes: dict[str, int] | None = None
        self._ways: Counter[str] = Counter()

    def sizes(self) -> Mapping[str, int]:
        """Gives every regular file; raises DATASET_ERROR naming a link that leaves the folder or runs in a loop."""
        if self._sizes is None:
            self._ways.clear()
            self._sizes = dict(self._walk(self._root, "", (self._root,)))
        return self._sizes

    def _walk(self, folder: str, below: str, above: tuple[str, ...]) -> Iterator[tuple[str, int]]:
        self._ways[above[-1]] += 1
        if self._ways[above[-1]] > WAYS:
            raise refused(f"{self.uri}: links lead to {above[-1]} in more than {WAYS} ways; remove all but one")
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except PermissionError as error:
            raise refused(f"{folder} cannot be read: {error.strerror}; make it readable") from None
        for entry in entries:
            name = below + entry.name
            if entry.is_symlink():
                self._check_link(entry.path, name, above)
            facts = os.stat(entry.path)
            if stat.S_ISDIR(facts.st_mode):
                # Folders such as .git or .cache are no part of a dataset.
                if not entry.name.startswith("."):
                    if reason := too_long(name):
                        raise refused(
                            f"{self.uri}: the path {name[:100]}… cannot be used: {reason}; shorten its folders"
                        )
                    yield from self._walk(entry.path, f"{name}/", (*above, os.path.realpath(entry.path)))
            elif stat.S_ISREG(facts.st_mode):
                yield name, facts.st_size

    def _check_link(self, path: str, name: str, above: tuple[str, ...]) -> None:
        real = os.path.realpath(path)
        if not real.startswith(self._root + os.sep) and real != self._root:
            message = f"{self.uri}: {name} is a link that leaves the dataset ({os.readlink(path)})"
            raise refused(f"{message}; put the file itself there")
        if real in above:
            raise refused(f"{self.uri}: {name} is a link into a folder that holds it, a loop; remove the link")
        if not os.path.exists(path):
            raise refused(f"{self.uri}: {name} is a link that leads nowhere or in a loop; remove it")

    def fingerprint(self) -> str:
        """Gives nothing: what is linked is never kept."""
        return ""

    def tag(self, name: str) -> str:
        """Gives nothing: a folder knows no digests."""
        return ""

    def order(self, name: str) -> int:
        """Gives one place to all."""
        return 0

    def read(self, name: str) -> bytes:
        """Gives a file's bytes."""
        return Path(self._root, name).read_bytes()

    def stands(self, name: str, target: str) -> Fact | None:
        """Tells whether `target` is the file itself under a second name."""
        with contextlib.suppress(OSError):  # a link of an earlier try, whose file has gone since
            if os.path.samestat(os.stat(target), os.stat(self._real(name))):
                return LINKED
        return None

    def fetch(self, name: str, target: str, *, mode: int = 0o666) -> Fact:
        """Gives a file a second name, which stays what it is when the first one goes; else links it by its own."""
        real, part = self._real(name), part_of(target)
        try:
            os.link(real, part, follow_symlinks=False)
        except OSError:  # of another disk, of somebody else, or of a system without such links
            os.symlink(real, part)
        # Where both are one file already, renaming one to the other does nothing at all.
        os.replace(part, target)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
        return LINKED

    def _real(self, name: str) -> str:
        return os.path.realpath(os.path.join(self._root, name))

    def elsewhere(self, prefix: str) -> None:
        """Gives nothing: a folder's dataset ends at the folder."""
        return
