"""A dataset below a prefix of a bucket."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from steps.download.source import BLOCK, unsafe, write_whole
from steps.trainer_sdk import ErrorType, Storage, TrainerError


class Bucket:
    """An `s3://` prefix."""

    copies = True

    def __init__(self, uri: str, *, storage: Storage) -> None:
        self.uri = uri
        self._storage = storage
        self._sizes: dict[str, int] | None = None

    def sizes(self) -> Mapping[str, int]:
        """Gives every object below the prefix; keys that are no safe names are left out."""
        if self._sizes is None:
            found = self._storage.list(self.uri)
            self._sizes = {name: size for name, size in found if not unsafe(name)}
        return self._sizes

    def read(self, name: str) -> bytes:
        """Gives an object's bytes."""
        uri = self.uri + name
        with telling(uri), contextlib.closing(self._storage.open(uri)) as stream:
            return bytes(stream.read())

    def fetch(self, name: str, target: Path) -> bool:
        """Downloads an object; False if a file of its size stood there already."""
        size, uri = self.sizes()[name], self.uri + name
        if target.is_file() and not target.is_symlink() and target.stat().st_size == size:
            return False
        fetch_object(self._storage, uri, target, size=size)
        return True

    def elsewhere(self, prefix: str) -> "Bucket":
        """Gives another prefix of the same bucket."""
        bucket = self.uri.removeprefix("s3://").partition("/")[0]
        return Bucket(f"s3://{bucket}/{prefix.strip('/')}/", storage=self._storage)


def fetch_object(storage: Storage, uri: str, target: Path, *, size: int | None = None) -> None:
    """Downloads one object; raises NETWORK_ERROR when it breaks off or has another size than was listed."""
    with telling(uri), contextlib.closing(storage.open(uri)) as stream:
        write_whole(target, lambda sink: shutil.copyfileobj(stream, sink, BLOCK))
    got = target.stat().st_size
    if size is not None and got != size:
        target.unlink()
        raise TrainerError(ErrorType.NETWORK_ERROR, f"{uri}: {got} of {size} bytes came; it is tried again")


@contextlib.contextmanager
def telling(uri: str) -> Iterator[None]:
    """Makes a broken transfer a NETWORK_ERROR that names what was fetched."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.split(".")[0] not in {"botocore", "urllib3", "http"}:
            raise
        raise TrainerError(ErrorType.NETWORK_ERROR, f"{uri}: the transfer broke off: {error}") from error
