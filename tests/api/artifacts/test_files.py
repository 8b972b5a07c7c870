"""What a folder as storage has to watch by itself: its borders, and a disk that is full."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from api.artifacts import files
from api.artifacts.files import FileStorage
from api.errors import BadRequest, StorageFull, Unavailable
from workflows.keys import StorageTarget


@pytest.fixture
def storage(tmp_path: Path) -> FileStorage:
    root = tmp_path / "storage"
    root.mkdir()
    return FileStorage(StorageTarget(type="file", bucket="tiphys", root=str(root)))


def test_only_what_lies_in_the_folder_is_contained(storage: FileStorage, tmp_path: Path) -> None:
    inside = storage.write_file("a/b", io.BytesIO(b"x")).uri
    secret = tmp_path / "token"
    secret.write_text("secret")
    (storage.root / "link").symlink_to(secret)
    assert storage.contains(inside)
    root = storage.target.uri("")
    for uri in (f"file://{secret}", f"{root}../token", f"{root}a/../../token", f"{root}%2e%2e/token", f"{root}link"):
        assert not storage.contains(uri)


@pytest.mark.parametrize("key", ["../token", "a/../../token", "/etc/passwd", "a/..", "a\0b"])
def test_no_key_leads_out_of_the_folder(storage: FileStorage, key: str) -> None:
    with pytest.raises(BadRequest):
        storage.write_file(key, io.BytesIO(b"x"))
    with pytest.raises(BadRequest):
        storage.delete(key)


class Broken(io.BytesIO):
    """A source that gives some bytes and then fails."""

    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError(errno.ECONNRESET, "connection reset")


def test_a_source_that_breaks_off_leaves_what_was_there(storage: FileStorage) -> None:
    storage.write_file("a/best.pt", io.BytesIO(b"first"))
    with pytest.raises(Unavailable, match="connection reset"):
        storage.write_file("a/best.pt", Broken())
    assert (storage.root / "a" / "best.pt").read_bytes() == b"first"
    assert os.listdir(storage.root / "a") == ["best.pt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_such_and_leaves_nothing(
    storage: FileStorage, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real = files._copy

    def full(source: BinaryIO, to: Path) -> tuple[int, str]:
        real(source, to)  # something is on the disk already
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files, "_copy", full)
    with pytest.raises(StorageFull) as caught:
        storage.write_file("a/best.pt", io.BytesIO(b"x"))
    assert caught.value.status == 507
    assert "best.pt" in caught.value.message
    assert "free some space" in caught.value.cure
    assert os.listdir(storage.root / "a") == []


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """The kernel itself refuses the write, by the limit on the size of a process's files."""
    code = """
import resource, signal, sys, io, pathlib
from api.artifacts.files import FileStorage
from api.errors import StorageFull
from workflows.keys import StorageTarget
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
storage = FileStorage(StorageTarget(type="file", bucket="b", root=sys.argv[1]))
storage.write_file("a/small", io.BytesIO(b"x" * 100))
try:
    storage.write_file("a/big", io.BytesIO(b"x" * (1 << 20)))
except StorageFull as error:
    print(error.status, sorted(p.name for p in pathlib.Path(sys.argv[1], "a").iterdir()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "507 ['small']\n", done.stderr


def test_a_file_being_written_is_not_listed(storage: FileStorage) -> None:
    storage.write_file("a/best.pt", io.BytesIO(b"x"))
    (storage.root / "a" / f".best.pt.0000{files.PART_SUFFIX}").write_bytes(b"half")
    assert [found.name for found in storage.list("a/")] == ["best.pt"]


def test_a_folder_that_has_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    storage = FileStorage(StorageTarget(type="file", bucket="b", root=str(tmp_path / "file")))
    with pytest.raises(Unavailable, match="storage cannot take"):
        storage.probe()
