"""Begins a task of a registered dataset, shows how far it is, and fetches what it made."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from api.cli.client import DATASETS, Api, part
from api.cli.datasets.bar import Bar
from api.cli.datasets.source import meant
from api.cli.fault import Exit, Fault
from api.cli.output import console
from api.datasets.progress import Pace, Tick

LOOK_EVERY = 0.2
AWAY_LIMIT = 60.0
"""Seconds the API may be away while a task is followed."""


def do_task(api: Api, id: str, kind: str, options: dict[str, Any], *, json: bool) -> dict[str, Any]:
    """Begins a task, or joins one that asks for the same, and follows it to its end.

    Raises:
        Fault: it failed or was cancelled; what it found beside its error is the fault's body.
    """
    path = f"{DATASETS}/{part(id)}/tasks"
    given = {name: value for name, value in options.items() if value is not None}
    try:
        task = api.post(path, {"kind": kind, "options": given})
    except Fault as fault:
        raise meant(fault, id) from None
    try:
        ended = _followed(api, f"{path}/{task['id']}", json=json)
    except KeyboardInterrupt:
        if not json:
            console().print(f"\ntask {task['id']} goes on; end it: tiphys dataset tasks {id} --cancel {task['id']}")
        raise
    if ended["state"] == "cancelled":
        raise Fault(f"task {ended['id']} was cancelled", cure="begin it again", exit_code=Exit.CANCELLED)
    if ended["state"] == "failed":
        error = ended["error"]
        code = Exit.USAGE if error["code"] == "invalid" else Exit.FAILED
        raise Fault(error["message"], cure=error["cure"], exit_code=code, body=ended)
    return ended


def _followed(api: Api, path: str, *, json: bool) -> dict[str, Any]:
    lost: float | None = None
    with Bar(silent=json) as bar:
        while True:
            try:
                task: dict[str, Any] = api.get(path)
                lost = None
            except Fault as fault:
                lost = lost or time.monotonic()
                if fault.exit_code != Exit.UNREACHABLE or time.monotonic() - lost > AWAY_LIMIT:
                    raise
                bar.wait("the API is away; waiting")
            else:
                if task["state"] not in ("pending", "running"):
                    return task
                if task["state"] == "pending":
                    bar.wait("waiting for its turn")
                else:
                    bar.take(task["progress"])
            time.sleep(LOOK_EVERY)


def output(task: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Returns what a task made, by its name."""
    return next((made for made in task["outputs"] or [] if made["name"] == name), None)


def lies_here(made: dict[str, Any]) -> Path | None:
    """Returns where an output lies on this machine, None where it has to be fetched."""
    path = Path(unquote(made["uri"].removeprefix("file://")))
    return path if made["uri"].startswith("file://") and path.is_file() else None


def fetch_output(api: Api, task: dict[str, Any], made: dict[str, Any], target: Path, *, json: bool) -> Path:
    """Downloads an output, whole and with the right SHA-256 or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.part")
    digest, done, pace = hashlib.sha256(), 0, Pace()
    path = f"{DATASETS}/{part(task['dataset_id'])}/tasks/{task['id']}/outputs/{part(made['name'])}"
    try:
        with partial.open("wb") as file, Bar(silent=json) as bar:
            for piece in api.stream(path):
                file.write(piece)
                digest.update(piece)
                done += len(piece)
                bar.take(pace.take(Tick(phase="download", done=done, total=made["size"], bytes=done)))
        if digest.hexdigest() != made["sha256"]:
            raise Fault(f"{made['name']} arrived with another SHA-256 than was recorded", cure="try again")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


@contextmanager
def counted(file: Path, *, json: bool) -> Iterator[Counted]:
    """Yields a file that shows how far it has been read, for an upload."""
    with file.open("rb") as opened, Bar(silent=json) as bar:
        yield Counted(opened, file.stat().st_size, bar)


class Counted:
    """A file whose reading is shown."""

    def __init__(self, file: Any, length: int, bar: Bar) -> None:
        self._file, self._length, self._bar, self._pace = file, length, bar, Pace()

    def read(self, amount: int = -1) -> bytes:
        piece: bytes = self._file.read(amount)
        done = self._file.tell()
        self._bar.take(self._pace.take(Tick(phase="upload", done=done, total=self._length, bytes=done)))
        return piece

    def seek(self, *where: int) -> int:
        return int(self._file.seek(*where))

    def tell(self) -> int:
        return int(self._file.tell())

    def fileno(self) -> int:
        return int(self._file.fileno())
