"""Reads an archive by position, from this machine or by ranges from a bucket with some blocks ahead."""

import io
import os
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from steps.download.objects import Listed, Objects
from steps.download.source import broken
from steps.trainer_sdk import Storage

RANGE = 4 << 20  # bytes of one request
AHEAD = 4  # blocks asked for before they are needed
KEPT = 16  # blocks held: what several threads unpack side by side lies close together
TRIES = 4


class Reader(Protocol):
    """Bytes by position; may be read by several threads at once."""

    size: int
    tag: str  # what changes when the bytes do

    def at(self, position: int, count: int) -> bytes:
        """Gives `count` bytes from `position`, fewer only at the end."""
        ...

    def close(self) -> None:
        """Lets go of what was opened."""
        ...


class LocalReader:
    """A file of this machine."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        facts = os.fstat(self._file)
        self.size, self.tag = facts.st_size, f"{facts.st_ino}-{facts.st_size}-{facts.st_mtime_ns}"

    def at(self, position: int, count: int) -> bytes:
        """Gives `count` bytes from `position`."""
        return os.pread(self._file, count, position)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


class RangeReader:
    """An object of a bucket, read in blocks; some blocks are fetched ahead of who reads on."""

    def __init__(self, objects: Objects, key: str, *, listed: Listed, storage: Storage) -> None:
        self.size, self.tag = listed.size, f"{listed.size}-{listed.etag}"
        self._objects, self._key, self._etag, self._storage = objects, key, listed.etag, storage
        self._uri = f"s3://{objects.bucket}/{key}"
        self._pool = ThreadPoolExecutor(AHEAD)
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self.fetched = 0  # bytes that were moved

    def at(self, position: int, count: int) -> bytes:
        """Gives `count` bytes from `position`."""
        end, parts = min(position + count, self.size), []
        while position < end:
            number, start = divmod(position, RANGE)
            part = self._block(number)[start : start + end - position]
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Gives up what is still on its way."""
        self._pool.shutdown(cancel_futures=True)

    def _block(self, number: int) -> bytes:
        with self._lock:
            for wanted in range(number, min(number + AHEAD, -(-self.size // RANGE))):
                if wanted not in self._blocks:
                    self._blocks[wanted] = self._pool.submit(self._fetch, wanted)
            self._blocks.move_to_end(number)
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
            block = self._blocks[number]
        return block.result()

    def _fetch(self, number: int) -> bytes:
        # obstore insists on status 206, which not every service answers a range with: boto3 takes what comes.
        first, last = number * RANGE, min((number + 1) * RANGE, self.size) - 1
        match: dict[str, Any] = {"IfMatch": f'"{self._etag}"'} if self._etag else {}
        for tried in range(1, TRIES + 1):
            try:
                with self._objects.telling("fetching a part of", self._uri):
                    span = f"bytes={first}-{last}"
                    answer = self._storage.s3.get_object(
                        Bucket=self._objects.bucket, Key=self._key, Range=span, **match
                    )
                    with answer["Body"] as body:
                        block: bytes = body.read()
                if len(block) != last - first + 1:
                    raise broken(f"{self._uri}: {len(block)} of {last - first + 1} bytes of a part came")
                self.fetched += len(block)
                return block
            except Exception as error:
                if getattr(error, "exit_code", 1) != 75 or tried == TRIES:
                    raise
        raise AssertionError(number)


class Seekable(io.RawIOBase):
    """A reader as the file that `zipfile` wants."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._at = reader, 0

    def readable(self) -> bool:
        """Tells that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tells that positions can be chosen."""
        return True

    def tell(self) -> int:
        """Gives the position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Chooses the position."""
        self._at = offset + (0, self._at, self._reader.size)[whence]
        if self._at < 0:
            raise OSError("negative position")
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer from the position on."""
        block = self._reader.at(self._at, len(buffer)) if self._at < self._reader.size else b""
        buffer[: len(block)] = block
        self._at += len(block)
        return len(block)
