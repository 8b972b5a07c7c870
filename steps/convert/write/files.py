"""Writes many small files into a fresh folder without asking the kernel for its path each time."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC  # O_EXCL follows no link


class Folder:
    """An open folder; every name is written once and never through a link."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> "Folder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)

    def write(self, name: str, content: bytes) -> None:
        """Writes a new file; raises OSError where the name stands already."""
        self.write_all([name], memoryview(content), [0, len(content)])

    def write_all(self, names: Sequence[str], text: memoryview, bounds: Sequence[int]) -> None:
        """Writes new files: the text from bounds[i] up to bounds[i + 1] as names[i]."""
        folder, begin = self.descriptor, bounds[0]
        for name, end in zip(names, bounds[1:], strict=True):
            file = os.open(name, FRESH, 0o666, dir_fd=folder)
            try:
                while begin < end:
                    begin += os.write(file, text[begin:end])
            finally:
                os.close(file)

    def count(self) -> int:
        """Counts the files that stand in the folder."""
        return len(os.listdir(self.descriptor))


def write_text(path: Path, text: str) -> None:
    """Writes a new text file as UTF-8; half a surrogate pair is written as its escape."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "x", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
