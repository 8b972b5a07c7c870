"""Keeps objects in a bucket of an S3-compatible service."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from api.artifacts.stored import CHUNK_BYTES, Listed, Stored
from api.errors import NotFound, StorageFull, TiphysError, Unavailable
from workflows.keys import StorageTarget

FULL_CODES = frozenset(
    {"XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage", "507"}
)
MISSING_CODES = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Storage:
    """Storage in a bucket; `secrets` are the credentials by the name of their variable."""

    def __init__(self, target: StorageTarget, secrets: Mapping[str, str]) -> None:
        self.target = target
        self._secrets = dict(secrets)

    def contains(self, uri: str) -> bool:
        return _split(uri)[0] == self.target.bucket

    def exists(self, uri: str) -> bool:
        bucket, key = _split(uri)
        if not bucket:
            return False
        if uri.endswith("/"):
            with self._told(f"the prefix {uri}"):
                answer = self._client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
                return int(answer.get("KeyCount", len(answer.get("Contents", [])))) > 0
        return self.size(uri) is not None

    def size(self, uri: str) -> int | None:
        bucket, key = _split(uri)
        if not bucket or not key:
            return None
        try:
            with self._told(uri):
                return int(self._client.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except NotFound:
            return None

    def open_read(self, uri: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        bucket, key = _split(uri)
        if end is not None and end <= start:
            return iter(())
        span = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        with self._told(uri):
            body = self._client.get_object(Bucket=bucket, Key=key, **span)["Body"]
        return self._chunks(uri, body)

    def list(self, prefix: str) -> list[Listed]:
        with self._told(f"the prefix {prefix}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.target.bucket, Prefix=prefix)
            return [
                Listed(item["Key"].removeprefix(prefix), self.target.uri(item["Key"]), int(item["Size"]))
                for page in pages
                for item in page.get("Contents", [])
            ]

    def write_file(self, key: str, source: Path | BinaryIO) -> Stored:
        # The opened file is hashed while it is sent; boto3 gives up a multipart upload that fails half-way.
        with contextlib.ExitStack() as stack:
            opened = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
            hashed = _Hashed(opened)
            with self._told(key.rsplit("/", 1)[-1]):
                self._client.upload_fileobj(hashed, self.target.bucket, key)
        return Stored(self.target.uri(key), hashed.size, hashed.digest.hexdigest())

    def local_path(self, uri: str) -> Path | None:
        return None

    def presign(self, uri: str, *, filename: str | None = None, seconds: int = 3600) -> str | None:
        bucket, key = _split(uri)
        parameters = {"Bucket": bucket, "Key": key}
        if filename:
            parameters["ResponseContentDisposition"] = f'attachment; filename="{filename}"'
        return str(self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))

    def delete(self, key: str) -> None:
        # The service answers a missing key as it answers a deleted one.
        with contextlib.suppress(NotFound), self._told(f"the deletion of {key}"):
            self._client.delete_object(Bucket=self.target.bucket, Key=key)

    def delete_prefix(self, prefix: str) -> int:
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} is no prefix: it must end in a slash")
        keys = [prefix + item.name for item in self.list(prefix)]
        with self._told(f"the deletion of {prefix}"):
            for at in range(0, len(keys), 1000):  # the most one request may name
                objects = [{"Key": key} for key in keys[at : at + 1000]]
                deleted = {"Objects": objects, "Quiet": True}
                answer = self._client.delete_objects(Bucket=self.target.bucket, Delete=deleted)
                if left := answer.get("Errors"):  # the request as a whole succeeds all the same
                    raise self._problem(f"the deletion of {left[0].get('Key')}", {"Error": left[0]})
        return len(keys)

    def probe(self) -> None:
        key = f".probe/{secrets.token_hex(4)}"
        with self._told("a small object"):
            self._client.put_object(Bucket=self.target.bucket, Key=key, Body=b"tiphys")
            self._client.delete_object(Bucket=self.target.bucket, Key=key)

    @cached_property
    def _sdk(self) -> _Sdk:
        return _connect(self.target, self._secrets)

    @property
    def _client(self) -> Any:
        return self._sdk.client

    def _chunks(self, uri: str, body: Any) -> Iterator[bytes]:
        with self._told(uri), contextlib.closing(body):
            yield from body.iter_chunks(CHUNK_BYTES)

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turns the client's exceptions into errors a person can act on."""
        sdk = self._sdk
        try:
            yield
        except sdk.refused as error:
            raise self._problem(what, error.response) from error
        except sdk.broken as error:
            cause = error.__context__  # a failed transfer wraps what the service said
            raise (
                self._problem(what, cause.response) if isinstance(cause, sdk.refused) else self._away(what, error)
            ) from error

    def _problem(self, what: str, response: Mapping[str, Any]) -> TiphysError:
        told = response.get("Error", {})
        code = str(told.get("Code", ""))
        if code in MISSING_CODES:
            return NotFound(f"there is no {what} in storage", cure="it may have been deleted from the bucket")
        if code in FULL_CODES or response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 507:
            return StorageFull(
                f"no room left for {what} in bucket {self.target.bucket}", cure="free some space and try again"
            )
        return Unavailable(
            f"storage refused {what}: {code} {told.get('Message', '')}".strip(),
            cure=f"check TIPHYS_STORAGE_BUCKET ({self.target.bucket}) and the storage credentials",
        )

    def _away(self, what: str, error: Exception) -> Unavailable:
        place = self.target.endpoint or "the S3 service"
        return Unavailable(
            f"storage at {place} cannot be reached for {what}: {error}", cure="check TIPHYS_STORAGE_ENDPOINT"
        )


@dataclass(frozen=True)
class _Sdk:
    """boto3's client and the exceptions it raises."""

    client: Any
    refused: type[Any]
    broken: tuple[type[Exception], ...]


def _connect(target: StorageTarget, secrets: Mapping[str, str]) -> _Sdk:
    try:
        # boto3 costs 0.3 s and 40 MB: only a platform with a bucket loads it.
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise Unavailable(
            f"storage of type {target.type} needs boto3, which is not installed", cure="install tiphys[s3]"
        ) from error
    access, secret = (secrets.get(name) for name in target.secret_variables)
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=target.endpoint,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name={"r2": "auto", "minio": "us-east-1"}.get(target.type),
        config=Config(
            signature_version="s3v4",  # the default signs addresses in a way that others than AWS refuse
            s3={"addressing_style": "path" if target.endpoint else "auto"},
            # Several services answer a range with the whole object's checksum.
            response_checksum_validation="when_required",
            request_checksum_calculation="when_required",
            connect_timeout=5,
            read_timeout=60,
            retries={"max_attempts": 3, "mode": "standard"},
        ),
    )
    return _Sdk(client, ClientError, (Boto3Error, BotoCoreError))


class _Hashed:
    """A file that is hashed as it is read, once, from front to back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.digest.update(chunk)
        self.size += len(chunk)
        return chunk


def _split(uri: str) -> tuple[str, str]:
    """Splits s3://bucket/key into bucket and key; both empty for another scheme."""
    if not uri.startswith("s3://"):
        return "", ""
    # By hand: a URL parser would cut a key at its first `?` or `#`.
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
