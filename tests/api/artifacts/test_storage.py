"""Storage, the same suite over a folder and over a bucket."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from api.artifacts.storage import Storage, Stored
from api.errors import NotFound
from tests.api.artifacts.conftest import ACCESS, SECRET

ODD = "logs/a b/ü+&%23#?=é.txt"


def put(storage: Storage, key: str, content: bytes = b"content") -> Stored:
    return storage.write_file(key, io.BytesIO(content))


def read(storage: Storage, uri: str, **span: int) -> bytes:
    return b"".join(storage.open_read(uri, **span))


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (9 << 20) + 3])  # the last one in several parts
def test_what_is_written_is_read_back_whole(storage: Storage, tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    path = tmp_path / "file"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        stored = storage.write_file("checkpoints/x/best.pt", source)
        assert stored == Stored(storage.target.uri("checkpoints/x/best.pt"), size, hashlib.sha256(content).hexdigest())
        assert storage.size(stored.uri) == size
        assert storage.exists(stored.uri)
        assert read(storage, stored.uri) == content


def test_writing_again_replaces(storage: Storage) -> None:
    put(storage, "a/last.pt", b"a longer first one")
    assert read(storage, put(storage, "a/last.pt", b"second").uri) == b"second"
    assert [found.name for found in storage.list("a/")] == ["last.pt"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, None, b"0123456789"), (3, None, b"3456789"), (3, 7, b"3456"), (0, 1, b"0"), (5, 5, b""), (8, 99, b"89")],
)
def test_a_part_is_read_without_the_rest(storage: Storage, start: int, end: int | None, expected: bytes) -> None:
    uri = put(storage, "a/log", b"0123456789").uri
    assert b"".join(storage.open_read(uri, start=start, end=end)) == expected


def test_what_is_not_there(storage: Storage) -> None:
    uri = storage.target.uri("nothing/here.pt")
    assert storage.size(uri) is None
    assert not storage.exists(uri)
    assert not storage.exists(storage.target.uri("nothing/"))
    with pytest.raises(NotFound, match=r"here\.pt"):
        read(storage, uri)


def test_a_prefix_is_there_when_anything_lies_under_it(storage: Storage) -> None:
    put(storage, "datasets/digits/images/1.png")
    assert storage.exists(storage.target.uri("datasets/digits/"))
    assert not storage.exists(storage.target.uri("datasets/dig/"))


@pytest.mark.parametrize("uri", ["", "x", "http://host/a", "s3://", "s3:///a", "file:", "file://host/a", "ftp://a/b"])
def test_a_uri_of_another_kind_is_nowhere(storage: Storage, uri: str) -> None:
    assert storage.size(uri) is None
    assert not storage.exists(uri)
    assert not storage.contains(uri)


def test_a_list_tells_names_behind_the_prefix(storage: Storage) -> None:
    for key in ("logs/job-a/attempt-1/train.log", "logs/job-a/attempt-1/x/y.log", "logs/job-ab/attempt-1/train.log"):
        put(storage, key, b"12345")
    found = storage.list("logs/job-a/")
    assert [item.name for item in found] == ["attempt-1/train.log", "attempt-1/x/y.log"]
    assert {item.size for item in found} == {5}
    assert [read(storage, item.uri) for item in found] == [b"12345"] * 2
    assert len(storage.list("logs/job-a")) == 3
    assert storage.list("nothing/") == []


def test_deleting_a_prefix_takes_what_is_under_it_alone(storage: Storage) -> None:
    for key in ("logs/job-a/1", "logs/job-a/x/2", "logs/job-ab/3", "logs/job-a.txt"):
        put(storage, key)
    assert storage.delete_prefix("logs/job-a/") == 2
    assert [item.name for item in storage.list("logs/")] == ["job-a.txt", "job-ab/3"]
    assert storage.delete_prefix("logs/job-a/") == 0
    with pytest.raises(ValueError, match="slash"):
        storage.delete_prefix("logs")


def test_deleting_one_object(storage: Storage) -> None:
    stored = put(storage, "datasets/a.zip")
    put(storage, "datasets/a.zip.txt")
    storage.delete("datasets/a.zip")
    storage.delete("datasets/a.zip")
    assert not storage.exists(stored.uri)
    assert [item.name for item in storage.list("datasets/")] == ["a.zip.txt"]


def test_odd_names_stay_one_object(storage: Storage) -> None:
    uri = put(storage, ODD, b"odd").uri
    assert storage.contains(uri)
    assert (storage.size(uri), read(storage, uri)) == (3, b"odd")
    (found,) = storage.list("logs/")
    assert ("logs/" + found.name, found.uri) == (ODD, uri)
    storage.delete(ODD)
    assert storage.list("logs/") == []


@pytest.mark.parametrize("name", ["a b.pt", "부품/나사.pt", "x+y%20#?=&.pt", "%zz.pt", "🙂.pt", "a~*(x)!.pt"])
def test_every_name_comes_back_as_it_was(storage: Storage, name: str) -> None:
    uri = put(storage, f"odd/{name}", name.encode()).uri
    assert read(storage, uri) == name.encode()
    assert [item.name for item in storage.list("odd/")] == [name]
    address = storage.presign(uri, filename="file.pt")
    assert address is None or httpx.get(address).content == name.encode()
    assert storage.delete_prefix("odd/") == 1


def test_more_than_a_thousand_objects_are_listed_and_deleted(storage: Storage) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(storage, f"many/{n:04}", b"x"), range(1100)))
    put(storage, "many.txt")
    assert [item.name for item in storage.list("many/")] == [f"{n:04}" for n in range(1100)]
    assert storage.delete_prefix("many/") == 1100
    assert [item.name for item in storage.list("many")] == [".txt"]


KILLED = """
import os, signal, sys
from pathlib import Path
from api.artifacts.storage import open_storage
from api.settings import Settings
storage, left = open_storage(Settings()), [2]
def deadly(*_, **__):
    left[0] -= 1
    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)
if storage.target.type == "file":
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
else:
    storage._client.meta.events.register("before-call.s3.UploadPart", deadly)
storage.write_file("checkpoints/x/best.pt", Path(sys.argv[1]))
"""


@pytest.mark.parametrize("before", [b"", b"the one before"])
def test_a_killed_upload_is_never_visible(storage: Storage, tmp_path: Path, before: bytes) -> None:
    if before:
        put(storage, "checkpoints/x/best.pt", before)
    (tmp_path / "best.pt").write_bytes(bytes(30 << 20))
    target = storage.target
    settings = {"TIPHYS_HOME": str(tmp_path / "home"), "TIPHYS_STORAGE_TYPE": target.type}
    if target.type != "file":
        settings |= {
            "TIPHYS_STORAGE_BUCKET": target.bucket, "TIPHYS_STORAGE_ENDPOINT": str(target.endpoint),
            "TIPHYS_STORAGE_ACCESS_KEY": ACCESS, "TIPHYS_STORAGE_SECRET_KEY": SECRET,
        }  # fmt: skip
    command = [sys.executable, "-c", KILLED, str(tmp_path / "best.pt")]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3]), **settings}
    ran = subprocess.run(command, env=env, capture_output=True, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert [(item.name, item.size) for item in storage.list("")] == (
        [("checkpoints/x/best.pt", len(before))] if before else []
    )
    uri = storage.target.uri("checkpoints/x/best.pt")
    assert storage.exists(uri) == bool(before)
    assert storage.write_file("checkpoints/x/best.pt", tmp_path / "best.pt").size == storage.size(uri)


def test_the_probe_leaves_nothing(storage: Storage) -> None:
    storage.probe()
    assert storage.list("") == []


def test_whoever_has_the_address_can_fetch_it(storage: Storage) -> None:
    uri = put(storage, "checkpoints/x/best.pt", b"weights").uri
    address = storage.presign(uri, filename="x-best.pt")
    if address is None:  # a folder has no addresses: there the API sends the bytes
        assert storage.local_path(uri) is not None
        return
    answer = httpx.get(address)
    assert (answer.status_code, answer.content) == (200, b"weights")
    assert "Signature" in address
    forged = httpx.get(address.replace("best.pt", "last.pt", 1))
    assert forged.status_code in (403, 404)


def test_an_address_ends_when_it_was_said_to(bucket: Storage) -> None:
    uri = put(bucket, "checkpoints/x/best.pt", b"weights").uri
    address = bucket.presign(uri, seconds=1)
    assert address is not None
    deadline = time.monotonic() + 30
    while httpx.get(address).status_code == 200:
        assert time.monotonic() < deadline
    assert httpx.get(address).status_code in (400, 403)
