"""Where a running platform lives: its address file, its lock, its socket."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from api.cli.fault import Exit, Fault


@dataclass(frozen=True)
class Address:
    """A running platform, as written into `api.json`."""

    url: str
    pid: int
    create_time: float
    started_at: float
    """Unix time."""

    @classmethod
    def of_this_process(cls, url: str, *, started_at: float) -> Address:
        """This process's own address."""
        return cls(url, os.getpid(), psutil.Process().create_time(), started_at)

    def process(self) -> psutil.Process | None:
        """The process behind it, told from a later one with the same pid by its start time."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.create_time) < 1
        except (psutil.Error, TypeError, ValueError):  # no such process, or a file that names none
            return None
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def read(home: Path) -> Address | None:
    """The address a home folder carries, if the platform it names is alive."""
    try:
        found = Address(**json.loads((home / "api.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if found.process() else None


def write(home: Path, address: Address) -> None:
    """Write the address in one piece."""
    fresh = home / ".api.json.new"
    fresh.write_text(json.dumps(asdict(address)))
    fresh.replace(home / "api.json")


def remove(home: Path) -> None:
    """Take the address away again."""
    (home / "api.json").unlink(missing_ok=True)


def lock(home: Path) -> IO[str]:
    """Take the home folder for this process; the lock goes when the process goes, however it ends."""
    home.mkdir(parents=True, exist_ok=True)
    held = (home / "lock").open("a+")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        other = read(home)
        who = f" (pid {other.pid}, {other.url})" if other else ""
        raise Fault(
            f"{home} is in use by another `tiphys up`{who}",
            cure="use that one, end it with `tiphys down`, or choose another folder: tiphys --home DIR up",
        ) from None
    return held


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else starts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Fault(
            f"cannot listen on {host}:{port}: {error.strerror}",
            cure=f"end what uses it, or choose another port: tiphys up --port {port + 1} (0 takes any free one)",
            exit_code=Exit.FAILED,
        ) from None
    sock.listen(2048)
    return sock


def last_port(home: Path) -> int | None:
    """The port of the last start: trainers that outlived it still call that one."""
    try:
        port = int((home / "port").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return port if 0 < port < 1 << 16 else None
