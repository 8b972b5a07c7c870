"""Objects of an S3-compatible bucket through obstore: at a third of the processor time of the usual client."""

import contextlib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from steps.download.source import broken, refused
from steps.trainer_sdk import LATER, STORAGE, Storage

RETRIES = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=5), "base": 2},
}
# No limit for a whole request: a large object takes its time. A silent line is given up all the same.
CLIENT = {"allow_http": True, "connect_timeout": "5s", "read_timeout": "30s", "timeout": "24h"}
STATUS = re.compile(r"status code: (\d{3})")
SAID = re.compile(r"<Code>([^<]*)</Code>(?:.*?<Message>([^<]*)</Message>)?", re.DOTALL)
REASON = re.compile(r"max_retries: \d+, retry_timeout: \S+\s+- (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Listed:
    """An object as a listing tells of it; the ETag without its quotation marks."""

    size: int
    etag: str


class Objects:
    """One bucket; every failure is told as an error that says what was done to which object."""

    def __init__(self, bucket: str, *, storage: Storage) -> None:
        self.bucket, self._storage = bucket, storage

    @functools.cached_property
    def store(self) -> Any:
        """The client, made at first use with what the job's variables say."""
        from obstore.store import S3Store  # only a dataset in a bucket needs it

        env = self._storage.environ
        kind = env.get("STORAGE_TYPE") or ""
        endpoint, key, secret = (env.get(name) or None for name in (STORAGE.get(kind) or STORAGE["s3"]).split())
        options: dict[str, Any] = {"region": self._region(kind, endpoint), "endpoint": endpoint}
        if key and secret:
            options |= {"access_key_id": key, "secret_access_key": secret}
            options["session_token"] = env.get("AWS_SESSION_TOKEN") or None
        else:
            # Roles of a machine or a service account: boto3 knows all the places where such keys are found.
            import boto3
            from obstore.auth.boto3 import Boto3CredentialProvider

            with self.telling("looking for keys for", f"s3://{self.bucket}"):
                options["credential_provider"] = Boto3CredentialProvider(boto3.session.Session())
        given = {name: value for name, value in options.items() if value is not None}
        client, retries = dict(CLIENT), dict(RETRIES)
        return S3Store(self.bucket, **given, client_options=client, retry_config=retries)

    def _region(self, kind: str, endpoint: str | None) -> str:
        env = self._storage.environ
        if known := env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION"):
            return known
        if endpoint:
            return "us-east-1" if kind == "minio" else "auto"
        with self.telling("looking up the region of", f"s3://{self.bucket}"):
            answer = self._storage.s3.head_bucket(Bucket=self.bucket)
        return str(answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region") or "us-east-1")

    def list(self, prefix: str) -> dict[str, Listed]:
        """Gives every object below a prefix by its name there."""
        import obstore

        from_here = len(prefix)
        with self.telling("listing", f"s3://{self.bucket}/{prefix}"):
            try:
                pages = obstore.list(self.store, prefix or None)
                rows = [(meta["path"], meta["size"], meta["e_tag"]) for page in pages for meta in page]
            except obstore.exceptions.InvalidPathError:  # one odd key, such as a//b, hides all the others from it
                pages = self._storage.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
                items = (item for page in pages for item in page.get("Contents", ()))
                rows = [(item["Key"], item["Size"], item.get("ETag")) for item in items]
        found = {path[from_here:]: Listed(size, (etag or "").strip('"')) for path, size, etag in rows}
        for folder in {name.rpartition("/")[0] for name in found}:
            # A console's marker of a folder is listed like an empty file of the folder's name.
            while folder and folder in found and not found[folder].size:
                del found[folder]
                folder = folder.rpartition("/")[0]
        return {name: at for name, at in found.items() if name and not name.endswith("/")}

    def head(self, key: str) -> Listed | None:
        """Looks an object up; None where there is none."""
        import obstore

        with self.telling("looking up", f"s3://{self.bucket}/{key}"):
            try:
                meta = obstore.head(self.store, key)
            except FileNotFoundError:
                return None
        return Listed(meta["size"], (meta["e_tag"] or "").strip('"'))

    def get(self, key: str) -> tuple[Listed, Any]:
        """Begins to read an object: what it is, and what gives its `bytes()` or its `stream()`."""
        import obstore

        result = obstore.get(self.store, key)
        meta = result.meta
        return Listed(meta["size"], (meta["e_tag"] or "").strip('"')), result

    @contextlib.contextmanager
    def telling(self, doing: str, uri: str) -> Iterator[None]:
        """Makes of a client's exception an error that names what was done, what went wrong, and the cure."""
        try:
            yield
        except Exception as error:
            module = type(error).__module__.split(".")[0]
            if (
                module not in {"obstore", "botocore", "boto3", "urllib3", "http"}
                and type(error) is not FileNotFoundError
            ):
                raise
            raise explained(error, doing=doing, uri=uri, bucket=self.bucket) from None


def explained(error: Exception, *, doing: str, uri: str, bucket: str) -> Exception:
    """Says a client's exception in one line; NETWORK_ERROR where another try may help."""
    text = str(error).split("\n\nDebug source")[0]
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # boto3 keeps what the service said
        status = int(answer["ResponseMetadata"].get("HTTPStatusCode", 0))
        code, message = answer["Error"].get("Code", ""), answer["Error"].get("Message", "")
    else:
        found, said = STATUS.search(text), SAID.search(text)
        status = int(found[1]) if found else 0
        code, message = (said[1], said[2] or "") if said else ("", "")
    if code == "NoSuchBucket":
        return refused(f"{doing} {uri}: the bucket {bucket} does not exist; check the address, or create the bucket")
    if status == 404 or isinstance(error, FileNotFoundError):
        return refused(f"{doing} {uri}: it does not exist: it was moved, deleted or never uploaded")
    if status in (401, 403):
        why = f"{code} {message}".strip() or f"status {status}"
        return refused(f"{doing} {uri}: storage refuses the job's keys ({why}); check them, and what they may read")
    if 300 <= status < 500 and status not in LATER:
        return refused(f"{doing} {uri}: storage refuses it: {status} {code} {message}".rstrip())
    reason = REASON.search(text)
    why = f"{status} {code} {message}".strip() if status else (reason[1] if reason else text)
    return broken(f"{doing} {uri}: the storage is away or the transfer broke off: {' '.join(why.split())[:400]}")
