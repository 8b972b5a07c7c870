"""What a dataset can be fetched from: a listing of files, their bytes, and a way to put one into the workspace."""

import errno
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from steps.trainer_sdk import ErrorType, TrainerError

BLOCK = 1 << 20
# A quota and a file size limit end a download for the same reason as a full disk, and have the same cure.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Source(Protocol):
    """A dataset at its origin; names are relative, with forward slashes."""

    uri: str
    copies: bool  # whether fetching needs room on the disk

    def sizes(self) -> Mapping[str, int]:
        """Gives every file with its size in bytes."""
        ...

    def read(self, name: str) -> bytes:
        """Gives a file's bytes."""
        ...

    def fetch(self, name: str, target: Path) -> bool:
        """Puts a file at `target`, whole or not at all; False if it stood there already."""
        ...

    def elsewhere(self, prefix: str) -> "Source | None":
        """Gives the folder with this key prefix in the same storage, None where that has no meaning."""
        ...


def refused(message: str) -> TrainerError:
    """Makes the error of a dataset that cannot be used."""
    return TrainerError(ErrorType.DATASET_ERROR, message)


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


def write_whole(target: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Writes a file under a second name and renames it; says which disk is full."""
    part = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex[:8]}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "xb") as sink:
            write(sink)
        os.replace(part, target)
    except OSError as error:
        if error.errno in FULL:
            raise disk_full(target) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def disk_full(where: Path) -> TrainerError:
    """Makes the error of a disk that has no room left."""
    message = f"disk full writing {where}: free space there, or give the job a larger volume"
    return TrainerError(ErrorType.RESOURCE_ERROR, message, detail="disk_full")
