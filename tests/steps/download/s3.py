"""A real S3 server over a folder: buckets are its folders, objects their files."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KEY, SECRET = "tiphys-test", "tiphys-test-secret"
RCLONE = Path(sys.executable).with_name("rclone")


@dataclass(frozen=True)
class S3:
    """The running server; `folder` holds its buckets."""

    endpoint: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Gives the variables by which a step reaches it."""
        return {
            "STORAGE_TYPE": "minio",
            "MINIO_ENDPOINT": self.endpoint,
            "MINIO_ACCESS_KEY": KEY,
            "MINIO_SECRET_KEY": SECRET,
        }


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[S3]:
    """Serves `folder` on a free port of this machine until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(RCLONE), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}",
               "--vfs-cache-mode", "off", "--dir-cache-time", "10ms", str(folder)]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            assert server.poll() is None, server.stderr.read() if server.stderr else b""
            assert time.monotonic() < deadline, "rclone does not answer"
        yield S3(f"http://127.0.0.1:{port}", folder)
    finally:
        server.terminate()
        server.communicate()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
    except urllib.error.HTTPError as refused:
        refused.close()
        return True
    except OSError:
        return False
    return True
