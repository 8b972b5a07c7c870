"""What a dataset can be fetched from: a listing of files, their bytes, and a way to put one into a folder."""

import errno
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from steps.trainer_sdk import ErrorType, TrainerError

BLOCK = 1 << 20
LONGEST = 1024  # bytes of a name below the dataset: the longest key that object stores take
MOST_PART = 255  # bytes of a file's or folder's own name on every file system of Linux and macOS
# A quota and a file size limit end a download for the same reason as a full disk, and have the same cure.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
BAD_NAME = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})
BOTH = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR})


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a file that was fetched: it need not be fetched, nor read for its digest, a second time."""

    size: int
    mtime_ns: int
    sha256: str
    tag: str  # what told this content from another one at its origin: an ETag, a checksum


LINKED = Fact(0, 0, "", "")  # of a link nothing is known: its file may change at any time


class Source(Protocol):
    """A dataset at its origin; names are relative, with forward slashes."""

    uri: str
    copies: bool  # whether fetching needs room on the disk
    threads: int  # how many files are best fetched at once

    def fingerprint(self) -> str:
        """Gives what changes when any file changes, in 64 hexadecimal characters."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Gives every file with its size in bytes."""
        ...

    def tag(self, name: str) -> str:
        """Gives what changes when a file's content does; empty where nothing is known."""
        ...

    def order(self, name: str) -> int:
        """Gives a file's place in the order in which they are best fetched."""
        ...

    def read(self, name: str) -> bytes:
        """Gives a file's bytes."""
        ...

    def stands(self, name: str, target: str) -> Fact | None:
        """Tells whether the file at `target` is this one, by looking at it; None where it is not."""
        ...

    def fetch(self, name: str, target: str, *, mode: int = 0o666) -> Fact:
        """Puts a file at `target`, whole or not at all."""
        ...

    def elsewhere(self, prefix: str) -> "Source | None":
        """Gives the folder with this key prefix in the same storage, None where that has no meaning."""
        ...


def refused(message: str) -> TrainerError:
    """Makes the error of a dataset that cannot be used."""
    return TrainerError(ErrorType.DATASET_ERROR, message)


def broken(message: str) -> TrainerError:
    """Makes the error of a transfer that may go better the next time."""
    return TrainerError(ErrorType.NETWORK_ERROR, message)


def unsafe(name: str) -> str | None:
    """Says why a name must not be joined to a folder, None where it may."""
    path = PurePosixPath(name)
    if "\\" in name:
        return "it holds a backslash"
    if path.is_absolute() or name[1:2] == ":":
        return "it is absolute"
    if ".." in path.parts:
        return "it climbs with `..`"
    if any(ord(character) < 32 for character in name):
        return "it holds a control character"
    return None if path.parts else "it is empty"


def too_long(name: str) -> str | None:
    """Says why no disk takes a name, None where one does."""
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    if any(len(part.encode("utf-8", "surrogatepass")) > MOST_PART for part in name.split("/")):
        return f"a part of it is longer than {MOST_PART} bytes"
    return None


def write_whole(target: str, blocks: Iterable[bytes], *, tag: str = "", mode: int = 0o666) -> Fact:
    """Writes a file under a second name and renames it; says which disk is full."""
    part = part_of(target)
    digest, size = hashlib.sha256(), 0
    try:
        sink = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            for block in blocks:
                size += _write(sink, block)
                digest.update(block)
            mtime = os.fstat(sink).st_mtime_ns
        finally:
            os.close(sink)
        os.rename(part, target)
    except BaseException as error:
        if os.path.lexists(part):
            os.unlink(part)
        if isinstance(error, OSError) and (told := unwritable(error, target)):
            raise told from error
        raise
    return Fact(size, mtime, digest.hexdigest(), tag)


def part_of(target: str) -> str:
    """Gives a second name beside `target`, under which a file lies until it is whole."""
    return f"{target.rpartition('/')[0]}/.{os.urandom(6).hex()}.part"


def unwritable(error: OSError, target: str) -> TrainerError | None:
    """Says why a file of the dataset cannot be written, where that is the disk's or the name's fault."""
    name = target if len(target) < 300 else f"{target[:200]}…{target[-60:]}"
    if error.errno in FULL:
        return disk_full(name)
    if error.errno in BAD_NAME:
        return refused(f"{name} cannot be written: {error.strerror}; give the file a shorter, plain name")
    if error.errno in BOTH:
        return refused(f"{name} is a file and a folder at once in the dataset; rename one of them")
    return None


def _write(sink: int, block: bytes) -> int:
    written = os.write(sink, block)
    while written < len(block):  # a disk that fills up takes a part first
        written += os.write(sink, memoryview(block)[written:])
    return written


def digest_of(target: str, *digests: "hashlib._Hash") -> os.stat_result:
    """Feeds a file to digests; gives its facts as the system has them."""
    with open(target, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            for digest in digests:
                digest.update(block)
        return os.fstat(file.fileno())


def disk_full(where: str | Path) -> TrainerError:
    """Makes the error of a disk that has no room left."""
    message = f"disk full writing {where}: free space there, or give the job a larger volume"
    return TrainerError(ErrorType.RESOURCE_ERROR, message, detail="disk_full")
