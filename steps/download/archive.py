"""A dataset in a zip, on this machine or in a bucket: unpacked in order, by several threads, with checked sums."""

import contextlib
import hashlib
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping

from steps.download.entries import checked
from steps.download.reader import Reader, Seekable
from steps.download.source import BLOCK, Fact, refused, write_whole

LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, then the lengths of name and extra field
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, ValueError)


class Archive:
    """A `.zip` file; a single top folder inside it is left away."""

    copies = True
    threads = 4

    def __init__(self, reader: Reader, *, uri: str) -> None:
        self.uri = uri
        self._reader = reader
        self._opened: tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]] | None = None

    def close(self) -> None:
        """Closes the file."""
        self._reader.close()

    def fingerprint(self) -> str:
        """Gives the digest of what tells this zip from another at its place."""
        return hashlib.sha256(self._reader.tag.encode()).hexdigest()

    @property
    def _entries(self) -> dict[str, zipfile.ZipInfo]:
        return self._open()[1]

    def _open(self) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
        if self._opened is None:
            with _readable(self.uri, "it"):
                found = zipfile.ZipFile(Seekable(self._reader))
            self._opened = found, checked(found, uri=self.uri, packed=self._reader.size)
        return self._opened

    def sizes(self) -> Mapping[str, int]:
        """Gives every file with its unpacked size; raises DATASET_ERROR for a zip that is not safe."""
        return {name: entry.file_size for name, entry in self._entries.items()}

    def tag(self, name: str) -> str:
        """Gives the checksum that the zip has of a file."""
        return f"crc32:{self._entries[name].CRC:08x}"

    def order(self, name: str) -> int:
        """Gives where in the zip a file lies."""
        return self._entries[name].header_offset

    def read(self, name: str) -> bytes:
        """Gives a file's bytes; raises DATASET_ERROR when its checksum is wrong."""
        return b"".join(self._blocks(name))

    def stands(self, name: str, target: str) -> Fact | None:
        """Reads the file at `target` and compares checksums."""
        entry = self._entries[name]
        crc, sha256, size = 0, hashlib.sha256(), 0
        with open(target, "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                crc, size = zlib.crc32(block, crc), size + len(block)
                sha256.update(block)
            mtime = os.fstat(file.fileno()).st_mtime_ns
        if (size, crc) != (entry.file_size, entry.CRC):
            return None
        return Fact(size, mtime, sha256.hexdigest(), self.tag(name))

    def fetch(self, name: str, target: str, *, mode: int = 0o666) -> Fact:
        """Unpacks a file."""
        return write_whole(target, self._blocks(name), tag=self.tag(name), mode=mode)

    def elsewhere(self, prefix: str) -> None:
        """Gives nothing: a zip's dataset ends at the zip."""
        return

    def _blocks(self, name: str) -> Iterator[bytes]:
        archive, entries = self._open()
        entry = entries[name]
        with _readable(self.uri, name):
            blocks = _unpacked(self._reader, entry) if entry.compress_type in PLAIN else _by_library(archive, entry)
            written, crc = 0, 0
            for block in blocks:
                written, crc = written + len(block), zlib.crc32(block, crc)
                # The header may lie: what it declared is all that may be written.
                if written > entry.file_size:
                    raise zipfile.BadZipFile("it is larger than declared")
                yield block
            if written != entry.file_size:
                raise zipfile.BadZipFile("it is smaller than declared")
            if crc != entry.CRC:
                raise zipfile.BadZipFile("its checksum is wrong")


def _unpacked(reader: Reader, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yields an entry's bytes, at most BLOCK at a time; several threads may unpack side by side."""
    head = reader.at(entry.header_offset, LOCAL_HEADER.size)
    if len(head) < LOCAL_HEADER.size or not head.startswith(b"PK\x03\x04"):
        raise zipfile.BadZipFile("there is no such entry at its place")
    _, name_length, extra_length = LOCAL_HEADER.unpack(head)
    position = entry.header_offset + LOCAL_HEADER.size + name_length + extra_length
    end = position + entry.compress_size
    packed = zlib.decompressobj(-15) if entry.compress_type == zipfile.ZIP_DEFLATED else None
    while position < end:
        block = reader.at(position, min(BLOCK, end - position))
        if not block:
            raise EOFError("the zip ends in the middle of it")
        position += len(block)
        if packed is None:
            yield block
            continue
        while block and not packed.eof:
            yield packed.decompress(block, BLOCK)
            block = packed.unconsumed_tail
    if packed and not packed.eof:
        yield packed.flush()


def _by_library(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as stream:
        while block := stream.read(BLOCK):
            yield block


@contextlib.contextmanager
def _readable(uri: str, what: str) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise refused(f"{uri}: {what} cannot be unpacked: {error}; pack and upload the zip again") from None
