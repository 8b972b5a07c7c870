"""A real S3 server over a folder, and the variables that lead to it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

RCLONE = Path(sys.executable).with_name("rclone")
NAMES = {
    "minio": ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"),
    "r2": ("R2_ENDPOINT", "R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY"),
}


@contextlib.contextmanager
def serving(root: Path, *, kind: str = "minio", address: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """Serves `root`, whose folder `bucket` is the bucket; wrong keys and signatures are refused."""
    (root / "bucket").mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind((address, 0))
        address = f"{address}:{probe.getsockname()[1]}"
    command = [RCLONE, "serve", "s3", "--addr", address, "--auth-key", "key,secret", root]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        assert any("Starting s3 server" in line for line in server.stderr)
        yield {
            "STORAGE_TYPE": kind,
            "STORAGE_BUCKET": "bucket",
            **dict(zip(NAMES[kind], (f"http://{address}", "key", "secret"), strict=True)),
        }
    finally:
        server.terminate()
        server.communicate()
