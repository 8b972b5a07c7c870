"""A dataset below a prefix of a bucket: many objects at once, each checked against its size and ETag."""

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from steps.download.objects import Listed, Objects, explained
from steps.download.source import BLOCK, Fact, broken, digest_of, unsafe, write_whole
from steps.trainer_sdk import ErrorType, Storage, TrainerError

MD5 = re.compile(r"[0-9a-f]{32}")  # the ETag of an object that was uploaded in one piece, without server-side keys
WHOLE = 4 << 20  # bytes up to which an object is held in memory; 16 at once
TRIES = 4
FIRST_WAIT = 0.5  # seconds; doubled from try to try


class Bucket:
    """An `s3://` prefix."""

    copies = True
    threads = 16

    def __init__(self, uri: str, *, storage: Storage, wait: Callable[[float], Any] | None = None) -> None:
        self.uri = uri
        bucket, _, self._prefix = uri.removeprefix("s3://").partition("/")
        self._storage, self._objects = storage, Objects(bucket, storage=storage)
        self._wait = wait or threading.Event().wait
        self._listed: dict[str, Listed] | None = None
        self._encrypted = False  # by keys of the service: then no ETag is an MD5, whatever it looks like

    @classmethod
    def of_object(cls, uri: str, *, storage: Storage) -> "Bucket | None":
        """Opens the prefix of one object, which is then all that it lists; None where there is no such object."""
        prefix, _, name = uri.rpartition("/")
        bucket = cls(f"{prefix}/", storage=storage)
        found = bucket._objects.head(bucket._prefix + name)
        bucket._listed = {name: found} if found else {}
        return bucket if found else None

    def listed(self) -> Mapping[str, Listed]:
        """Gives every object below the prefix; keys that are no safe names are left out."""
        if self._listed is None:
            found = self._objects.list(self._prefix)
            self._listed = {name: at for name, at in found.items() if not unsafe(name)}
        return self._listed

    def fingerprint(self) -> str:
        """Gives the digest of the listing: names, sizes and ETags."""
        digest = hashlib.sha256()
        for name, at in sorted(self.listed().items()):
            digest.update(f"{name}\0{at.size}\0{at.etag}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def sizes(self) -> Mapping[str, int]:
        """Gives every object with its size."""
        return {name: at.size for name, at in self.listed().items()}

    def tag(self, name: str) -> str:
        """Gives an object's ETag."""
        return self.listed()[name].etag

    def order(self, name: str) -> int:
        """Gives one place to all."""
        return 0

    def read(self, name: str) -> bytes:
        """Gives an object's bytes, checked."""
        return self._again(name, lambda: b"".join(self._blocks(name)))

    def stands(self, name: str, target: str) -> Fact | None:
        """Reads the file at `target` where its ETag can tell whether it is the object."""
        at = self.listed()[name]
        if self._encrypted or not MD5.fullmatch(at.etag):
            return None
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        facts = digest_of(target, md5, sha256)
        if md5.hexdigest() != at.etag:
            return None
        return Fact(facts.st_size, facts.st_mtime_ns, sha256.hexdigest(), at.etag)

    def fetch(self, name: str, target: str, *, mode: int = 0o666) -> Fact:
        """Downloads an object; raises NETWORK_ERROR when it comes broken again and again."""
        etag = self.listed()[name].etag
        return self._again(name, lambda: write_whole(target, self._blocks(name), tag=etag, mode=mode))

    def elsewhere(self, prefix: str) -> "Bucket":
        """Gives another prefix of the same bucket."""
        return Bucket(f"s3://{self._objects.bucket}/{prefix.strip('/')}/", storage=self._storage, wait=self._wait)

    def _again(self, name: str, work: Callable[[], Any]) -> Any:
        for tried in range(1, TRIES + 1):
            try:
                return work()
            except TrainerError as error:
                if error.error_type is not ErrorType.NETWORK_ERROR or tried == TRIES:
                    raise
            self._wait(FIRST_WAIT * 2 ** (tried - 1))
        raise AssertionError(name)

    def _blocks(self, name: str) -> Iterator[bytes]:
        """Yields an object's bytes, then checks them: what was written of a wrong one is thrown away."""
        uri, at = self.uri + name, self.listed()[name]
        try:
            now, blocks = self._open(self._prefix + name, at)
            if now.size != at.size or (now.etag and at.etag and now.etag != at.etag):
                raise broken(f"{uri} was changed while the dataset was fetched; it is tried again")
            checked = not self._encrypted and MD5.fullmatch(at.etag)
            md5 = hashlib.md5(usedforsecurity=False) if checked else None
            got = 0
            for block in blocks:
                got += len(block)
                if md5:
                    md5.update(block)
                yield block
        except GeneratorExit:
            raise
        except Exception as error:
            if isinstance(error, (TrainerError, MemoryError)):
                raise
            raise explained(error, doing="fetching", uri=uri, bucket=self._objects.bucket) from None
        if got != at.size:
            raise broken(f"{uri}: {got} of {at.size} bytes came; it is tried again")
        if md5 and md5.hexdigest() != at.etag and not self._is_encrypted(self._prefix + name):
            raise broken(f"{uri}: its bytes do not match its ETag {at.etag}; it was damaged on its way")

    def _is_encrypted(self, key: str) -> bool:
        with self._objects.telling("looking up", f"s3://{self._objects.bucket}/{key}"):
            told = self._storage.s3.head_object(Bucket=self._objects.bucket, Key=key)
        self._encrypted = "kms" in told.get("ServerSideEncryption", "") or "SSECustomerAlgorithm" in told
        return self._encrypted

    def _open(self, key: str, at: Listed) -> tuple[Listed, Iterator[Any]]:
        if "//" in key or {".", ".."} & set(key.split("/")):  # the fast client would ask for another key
            body = self._storage.s3.get_object(Bucket=self._objects.bucket, Key=key)["Body"]
            return at, _chunks(body)
        now, result = self._objects.get(key)
        if now.size > WHOLE:
            return now, (memoryview(block) for block in result.stream(BLOCK))
        return now, iter((memoryview(result.bytes()),))


def _chunks(body: Any) -> Iterator[bytes]:
    with contextlib.closing(body):
        yield from body.iter_chunks(BLOCK)
