"""A dataset in a folder of this machine: its files are linked, never copied, and no link may leave the folder."""

import os
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from steps.download.source import refused


class Folder:
    """A `file://` prefix."""

    copies = False

    def __init__(self, root: Path, *, uri: str) -> None:
        self.uri = uri
        self._root = os.path.realpath(root)

    def sizes(self) -> Mapping[str, int]:
        """Gives every regular file; raises DATASET_ERROR naming a link that leaves the folder or runs in a loop."""
        return dict(self._walk(self._root, "", (self._root,)))

    def _walk(self, folder: str, below: str, above: tuple[str, ...]) -> Iterator[tuple[str, int]]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except PermissionError as error:
            raise refused(f"{folder} cannot be read: {error.strerror}; make it readable") from None
        for entry in entries:
            name = below + entry.name
            if entry.is_symlink():
                self._check_link(entry.path, name, above)
            mode = os.stat(entry.path).st_mode
            if stat.S_ISDIR(mode):
                # Folders such as .git or .cache are no part of a dataset.
                if not entry.name.startswith("."):
                    yield from self._walk(entry.path, f"{name}/", (*above, os.path.realpath(entry.path)))
            elif stat.S_ISREG(mode):
                yield name, entry.stat().st_size

    def _check_link(self, path: str, name: str, above: tuple[str, ...]) -> None:
        real = os.path.realpath(path)
        if not real.startswith(self._root + os.sep) and real != self._root:
            message = f"{self.uri}: {name} is a link that leaves the dataset ({os.readlink(path)})"
            raise refused(f"{message}; put the file itself there")
        if real in above:
            raise refused(f"{self.uri}: {name} is a link into a folder that holds it, a loop; remove the link")
        if not os.path.exists(path):
            raise refused(f"{self.uri}: {name} is a link that leads nowhere or in a loop; remove it")

    def read(self, name: str) -> bytes:
        """Gives a file's bytes."""
        return Path(self._root, name).read_bytes()

    def fetch(self, name: str, target: Path) -> bool:
        """Links a file by its absolute name; False if that link stood there already."""
        real = os.path.realpath(os.path.join(self._root, name))
        if target.is_symlink() and os.readlink(target) == real:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{uuid.uuid4().hex}.part")
        os.symlink(real, part)
        os.replace(part, target)
        return True

    def elsewhere(self, prefix: str) -> None:
        """Gives nothing: a folder's dataset ends at the folder."""
        return
