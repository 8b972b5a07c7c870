"""Starts, watches and ends the processes of pods; what is known of a pod lies in its folder."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workflows.local import emissary

# What ends with the pod; its log and its records stay.
SCRATCH = ("tmp", "home", "shm", "empty")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a look at a pod's folder showed; `record` is the emissary's last word."""

    state: Literal["absent", "starting", "running", "exited", "vanished", "stillborn"]
    record: Mapping[str, Any] | None = None
    progress: str = ""


class Pods:
    """The processes of this machine that run pods."""

    def __init__(self) -> None:
        self._starting: dict[Path, int] = {}
        self._children: set[int] = set()

    def launch(self, folder: Path, plan: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
        """Starts the emissary of a pod; harmless where one runs or ran already.

        Secrets travel in the emissary's environment: nothing secret is ever written below the folder.
        """
        for path in plan["folders"]:
            Path(path).mkdir(parents=True, exist_ok=True)
        emissary.write_json(folder / "pod.json", plan)
        output = (os.POSIX_SPAWN_OPEN, 1, str(folder / "emissary.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", emissary.__file__, str(folder)],
            {"LANG": "C.UTF-8", emissary.SECRETS: json.dumps(dict(secrets))},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                output,
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )
        self._starting[folder] = pid
        self._children.add(pid)

    def observe(self, folder: Path) -> Observation:
        """Looks at a pod; a vanished one is cleared of what it left running before this returns."""
        record = _read(folder / "exit.json")
        if record is not None:
            return Observation(state="exited", record=record, progress=_text(folder / "progress"))
        started = _read(folder / "started.json")
        if started is None:
            pid = self._starting.get(folder)
            if pid is None:
                return Observation(state="absent")
            return Observation(state="starting" if pid in self._children or self._held(folder) else "stillborn")
        if self._held(folder) or emissary.alive(started["pid"], started["create_time"]):
            return Observation(state="running", progress=_text(folder / "progress"))
        record = _read(folder / "exit.json")  # written between the first look and the death
        if record is not None:
            return Observation(state="exited", record=record, progress=_text(folder / "progress"))
        emissary.kill_members(started["pid"], started["create_time"], str(folder / "progress"))
        return Observation(state="vanished")

    def stop(self, folder: Path, reason: str, *, kill: bool) -> None:
        """Asks a pod to end: SIGTERM and its grace, or with `kill` at once; asking again changes nothing."""
        request = {"reason": reason, "kill": kill}
        if folder.is_dir() and _read(folder / "stop.json") != request:
            emissary.write_json(folder / "stop.json", request)

    def clear(self, folder: Path) -> None:
        """Removes the scratch folders of a pod that has ended."""
        self._starting.pop(folder, None)
        for name in SCRATCH:
            shutil.rmtree(folder / name, ignore_errors=True)

    def reap(self) -> None:
        """Collects emissaries that have ended, so that none stays behind as a zombie."""
        for pid in list(self._children):
            try:
                ended, _ = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended = pid
            if ended:
                self._children.discard(pid)

    def _held(self, folder: Path) -> bool:
        try:
            with (folder / "alive").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no such file, or a file system without locks: pid and start time decide
            return False
        return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _text(path: Path) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().decode(errors="replace")
    return ""
