"""A dataset in a zip: taken apart safely, without traversal, links or bombs, with checked sums."""

import contextlib
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from steps.download.source import BLOCK, refused, unsafe, write_whole

MOST_FILES = 5_000_000
MOST_RATIO = 200  # unpacked to packed; real annotation documents reach about 50
FREE_OF_RATIO = 16 << 20  # bytes: what is smaller cannot hurt, however well it packs
IGNORED = ("__MACOSX/",)
IGNORED_NAMES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
OWN_FOLDERS = frozenset({"images", "annotations", "labels", "masks", "train", "valid", "val", "test"})
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError)


class Archive:
    """A `.zip` file on this machine; a single top folder inside it is left away."""

    copies = True

    def __init__(self, path: Path, *, uri: str) -> None:
        self.uri = uri
        with _readable(uri, "it"):
            self._zip = zipfile.ZipFile(path)
        try:
            self._entries = _checked(self._zip, uri=uri, packed=path.stat().st_size)
        except BaseException:
            self._zip.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._zip.close()

    def sizes(self) -> Mapping[str, int]:
        """Gives every file with its unpacked size."""
        return {name: entry.file_size for name, entry in self._entries.items()}

    def read(self, name: str) -> bytes:
        """Gives a file's bytes; raises DATASET_ERROR when its checksum is wrong."""
        with _readable(self.uri, name), self._zip.open(self._entries[name]) as stream:
            return stream.read()

    def fetch(self, name: str, target: Path) -> bool:
        """Unpacks a file; False if one with the same size and checksum stood there already."""
        entry = self._entries[name]
        if target.is_file() and target.stat().st_size == entry.file_size and _crc(target) == entry.CRC:
            return False
        with _readable(self.uri, name), self._zip.open(entry) as stream:
            write_whole(target, lambda sink: _copy(stream, sink, entry.file_size))
        return True

    def elsewhere(self, prefix: str) -> None:
        """Gives nothing: a zip's dataset ends at the zip."""
        return


def _checked(archive: zipfile.ZipFile, *, uri: str, packed: int) -> dict[str, zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise refused(f"{uri}: {len(entries)} entries are more than {MOST_FILES}; split the dataset")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = decoded_name(entry)
        if name.startswith(IGNORED) or name.rpartition("/")[2] in IGNORED_NAMES:
            continue
        if reason := unsafe(name):
            raise refused(f"{uri}: entry {name!r} is refused: {reason}; pack the folder again with plain names")
        # Spelt in one way: `top//etc/x` without its top folder would be the absolute `/etc/x`.
        name = str(PurePosixPath(name))
        mode = entry.external_attr >> 16
        if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            kind = "a link" if stat.S_ISLNK(mode) else "a special file"
            raise refused(f"{uri}: entry {name!r} is {kind}; pack the file itself")
        if entry.is_dir():
            continue
        if entry.flag_bits & 1:
            raise refused(f"{uri}: entry {name!r} is encrypted; pack it without a password")
        if name in found:
            raise refused(f"{uri}: entry {name!r} stands in it twice; pack it once")
        if entry.file_size > FREE_OF_RATIO and entry.file_size > MOST_RATIO * entry.compress_size:
            raise refused(
                f"{uri}: entry {name!r} unpacks to {entry.file_size} bytes from {entry.compress_size}: a bomb"
            )
        found[name] = entry
    total = sum(entry.file_size for entry in found.values())
    if total > FREE_OF_RATIO and total > MOST_RATIO * packed:
        raise refused(f"{uri}: it unpacks to {total} bytes from {packed}: a bomb")
    if sum(entry.compress_size for entry in found.values()) > packed:
        raise refused(f"{uri}: its entries overlap: a bomb")
    for name in found:
        parts = name.split("/")
        for end in range(1, len(parts)):
            if "/".join(parts[:end]) in found:
                raise refused(f"{uri}: {'/'.join(parts[:end])!r} is a file and a folder in it; pack it again")
    return _without_top_folder(found)


def decoded_name(entry: zipfile.ZipInfo) -> str:
    """Gives an entry's name: UTF-8 where it says so or can be read so, else CP949, else CP437."""
    if entry.flag_bits & 0x800:
        return entry.orig_filename
    try:
        raw = entry.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return entry.orig_filename
    for encoding in ("utf-8", "cp949"):
        with contextlib.suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return entry.orig_filename


def _without_top_folder(found: dict[str, zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    tops = {name.partition("/")[0] if "/" in name else "" for name in found}
    if len(tops) != 1 or tops <= {"", *OWN_FOLDERS}:
        return found
    return {name.partition("/")[2]: entry for name, entry in found.items()}


def _copy(stream: IO[bytes], sink: IO[bytes], declared: int) -> None:
    written = 0
    while block := stream.read(BLOCK):
        written += len(block)
        # The header may lie: what it declared is all that may be written.
        if written > declared:
            raise zipfile.BadZipFile("it is larger than declared")
        sink.write(block)
    if written != declared:
        raise zipfile.BadZipFile("it is smaller than declared")


def _crc(path: Path) -> int:
    value = 0
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            value = zlib.crc32(block, value)
    return value


@contextlib.contextmanager
def _readable(uri: str, what: str) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise refused(f"{uri}: {what} cannot be unpacked: {error}; pack and upload the zip again") from None
