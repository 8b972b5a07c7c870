"""Volumes that any user may write to, where a cluster's provisioner makes them folders of its node's root."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/tmp/hostpath_pv")
"""Where Kubernetes' own host-path provisioner, a testing aid, makes them: 0750, and `fsGroup` means nothing there."""
EVERY = 0.1


@contextlib.contextmanager
def writable_volumes() -> Iterator[None]:
    """Does what the provisioner of kind and k3d does by itself; where there are no such folders it does nothing."""
    stop = threading.Event()
    thread = threading.Thread(target=_open_all, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _open_all(stop: threading.Event) -> None:
    while not stop.wait(EVERY):
        if not os.access(FOLDER, os.W_OK):
            continue
        for folder in (FOLDER, *FOLDER.iterdir()):
            with contextlib.suppress(OSError):  # removed meanwhile
                folder.chmod(0o777)
