"""The engine's folder: workflows, their state and secrets, requests from other processes, and the lock of who steps."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from workflows.engine import EngineUnavailable
from workflows.local.emissary import write_json

DRAFT_SECONDS = 600
VERBS = ("submit", "stop", "terminate", "delete")
_REQUEST = re.compile(rf"(?P<name>.+)\.(?P<verb>{'|'.join(VERBS)})")


class Store:
    """Reads and writes the folder; every write is whole and durable before it returns."""

    def __init__(self, home: Path, *, claims: Path | None = None) -> None:
        self.root = home / "engine"
        self.claims = claims or self.root / "claims"
        self.workflows = self.root / "workflows"
        self.requests = self.root / "requests"
        self.trash = self.root / "trash"
        for folder in (self.workflows, self.requests, self.trash):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] | None = None
        self._sweeper: threading.Thread | None = None

    def folder(self, name: str) -> Path:
        """Returns the folder of a workflow."""
        return self.workflows / name

    def pod(self, name: str, node: str) -> Path:
        """Returns the folder of a pod."""
        return self.folder(name) / "pods" / node

    def claim(self, name: str) -> Path:
        """Returns the folder that stands for a claim which no workflow made: it outlives them all."""
        return self.claims / name

    def names(self) -> list[str]:
        """Lists the workflows held."""
        return sorted(entry for entry in os.listdir(self.workflows) if not entry.startswith("."))

    def create(self, name: str, *, manifest: Any, state: Any, secrets: Mapping[str, str]) -> bool:
        """Lays a workflow down in one move; False where one of that name is there."""
        draft = self.workflows / f".{name}.{uuid.uuid4().hex}"
        draft.mkdir(mode=0o700)
        write_json(draft / "manifest.json", manifest)
        write_json(draft / "status.json", state)
        secret = draft / "secrets.json"
        secret.touch(mode=0o600)
        with secret.open("w") as file:
            json.dump({name: dict(secrets)}, file)
            file.flush()
            os.fsync(file.fileno())
        for inner in ("pods", "volumes"):
            (draft / inner).mkdir()
        try:
            draft.rename(self.folder(name))
        except OSError:
            shutil.rmtree(draft)
            if self.folder(name).is_dir():
                return False
            raise
        sync_folder(self.workflows)
        return True

    def manifest(self, name: str) -> dict[str, Any] | None:
        """Returns a workflow's manifest, or None."""
        return _read(self.folder(name) / "manifest.json")

    def state(self, name: str) -> dict[str, Any] | None:
        """Returns a workflow's state, or None."""
        return _read(self.folder(name) / "status.json")

    def save(self, name: str, state: Any) -> None:
        """Writes a workflow's state."""
        write_json(self.folder(name) / "status.json", state)

    def secrets(self, name: str) -> dict[str, dict[str, str]]:
        """Returns the secrets of a workflow by name and key; none after its end."""
        return _read(self.folder(name) / "secrets.json") or {}

    def drop_secrets(self, name: str) -> None:
        """Removes a workflow's secrets."""
        (self.folder(name) / "secrets.json").unlink(missing_ok=True)

    def is_finished(self, name: str) -> bool:
        """Tells whether a workflow needs no more steps, without reading its state."""
        return (self.folder(name) / "finished").exists()

    def mark_finished(self, name: str) -> None:
        """Notes that a workflow needs no more steps."""
        (self.folder(name) / "finished").touch()

    def ask(self, name: str, verb: str) -> None:
        """Leaves a request for the engine that steps, whichever process that is."""
        (self.requests / f"{name}.{verb}").touch()
        sync_folder(self.requests)

    def asked(self) -> list[tuple[str, str]]:
        """Returns the open requests as (workflow, verb), in the order of the verbs."""
        matches = (_REQUEST.fullmatch(entry) for entry in os.listdir(self.requests))
        found = [(match["name"], match["verb"]) for match in matches if match]
        return sorted(found, key=lambda request: VERBS.index(request[1]))

    def is_asked(self, name: str, verb: str) -> bool:
        """Tells whether a request is open."""
        return (self.requests / f"{name}.{verb}").exists()

    def answered(self, name: str, verb: str) -> None:
        """Removes a request."""
        (self.requests / f"{name}.{verb}").unlink(missing_ok=True)

    def discard(self, path: Path) -> None:
        """Takes a folder away at once; its content is removed in the background, or at the next start."""
        if path.exists():
            path.rename(self.trash / uuid.uuid4().hex)
        self.sweep()

    def sweep(self) -> None:
        """Empties the trash in the background: a workspace of many gigabytes must not hold up the others."""
        if any(self.trash.iterdir()) and (self._sweeper is None or not self._sweeper.is_alive()):
            self._sweeper = threading.Thread(target=self._sweep, name="engine-trash", daemon=True)
            self._sweeper.start()

    def lock(self) -> None:
        """Makes this process the one that steps; raises EngineUnavailable where another one does."""
        if self._lock is not None:
            return
        file = (self.root / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise EngineUnavailable(
                f"another process (pid {holder or 'unknown'}) runs the workflows of {self.root.parent}: end it first"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file
        for draft in self.workflows.glob(".*"):
            # A young one is being laid down by another process right now.
            if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                self.discard(draft)
        self.sweep()

    def close(self) -> None:
        """Lets go of the lock and waits for the trash to be empty."""
        if self._sweeper is not None:
            self._sweeper.join()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _sweep(self) -> None:
        for entry in list(self.trash.iterdir()):
            shutil.rmtree(entry, ignore_errors=True)


def sync_folder(path: Path) -> None:
    """Makes names in a folder durable, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return value if isinstance(value, dict) else None
