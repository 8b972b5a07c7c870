"""What the platform asks of the place where files lie, be it a folder or a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from api.artifacts.files import FileStorage
from api.artifacts.s3 import S3Storage
from api.artifacts.stored import CHUNK_BYTES, Listed, Stored
from api.settings import Settings
from workflows.keys import StorageTarget

__all__ = ["CHUNK_BYTES", "Listed", "Storage", "Stored", "open_storage"]


class Storage(Protocol):
    """Reads by URI, writes and deletes by key; any method may raise `Unavailable`: the place cannot be reached."""

    @property
    def target(self) -> StorageTarget:
        """Where the objects lie."""
        ...

    def contains(self, uri: str) -> bool:
        """Tells whether a URI lies in this platform's own folder or bucket."""
        ...

    def exists(self, uri: str) -> bool:
        """Tells whether there is an object of that URI, or, where it ends in `/`, anything under that prefix."""
        ...

    def size(self, uri: str) -> int | None:
        """Returns an object's size in bytes, None where there is no such object."""
        ...

    def open_read(self, uri: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yields an object's bytes from `start` up to, not including, `end`; raises NotFound where there is none."""
        ...

    def list(self, prefix: str) -> list[Listed]:
        """Lists the objects whose key begins with `prefix`, by name."""
        ...

    def write_file(self, key: str, source: Path | BinaryIO) -> Stored:
        """Stores a file whole or not at all; raises StorageFull where there is no room."""
        ...

    def local_path(self, uri: str) -> Path | None:
        """Returns where on this machine an object or prefix lies, None where it is elsewhere."""
        ...

    def presign(self, uri: str, *, filename: str | None = None, seconds: int = 3600) -> str | None:
        """Returns an address from which anybody can fetch an object for a while, None where there is no such thing."""
        ...

    def delete(self, key: str) -> None:
        """Deletes one object; one that is not there is no error."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """Deletes every object whose key begins with `prefix`, which must end in `/`; returns how many there were."""
        ...

    def probe(self) -> None:
        """Writes and removes a small object; raises StorageFull or Unavailable where that fails."""
        ...


def open_storage(settings: Settings) -> Storage:
    """Returns the storage that the settings describe; nothing is reached yet."""
    target = settings.storage()
    if target.type == "file":
        return FileStorage(target)
    return S3Storage(target, settings.storage_secrets())
