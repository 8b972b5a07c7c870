"""Runs one pod's command as a process, minding its output, memory, deadline and end; outlives the engine that began it.

Started as `python -P emissary.py FOLDER`, where FOLDER/pod.json says what to run. Standard library and psutil only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import psutil

SECRETS = "TIPHYS_POD_SECRETS"
MARKER = "ARGO_PROGRESS_FILE"
TICK = 0.1
MEMORY_TICK = 0.25
LOG_LIMIT = 256 << 20
LOG_TAIL = 1 << 20
# A clock set right in between moves every start time a little; pids are not used again within this.
CLOCK_SLACK = 1.5


def write_json(path: Path, value: Any) -> None:
    """Writes a file so that a reader sees the old or the new one, also after a power cut."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def alive(pid: int, created: float) -> bool:
    """Tells whether the very process that had `pid` since `created` still lives."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - created) <= CLOCK_SLACK and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def members(session: int, created: float, marker: str | None) -> list[psutil.Process]:
    """Returns what lives of a pod: its session and, with a `marker`, what left it with the pod's environment."""
    stranger = psutil.pid_exists(session) and session != os.getpid() and not alive(session, created)
    found: list[psutil.Process] = []
    for pid in psutil.pids():
        if pid in (session, os.getpid()):
            continue
        with contextlib.suppress(psutil.Error, OSError):
            ours = os.getsid(pid) == session and not stranger
            process = psutil.Process(pid)
            if not ours and marker is not None:  # dear: only where something is to be ended
                ours = process.environ().get(MARKER) == marker
            if ours and process.create_time() >= created - CLOCK_SLACK and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill_members(session: int, created: float, marker: str) -> int:
    """Kills what lives of a pod; returns how many processes that were."""
    killed = 0
    for _ in range(20):  # a process may fork between the look and the kill
        found = members(session, created, marker)
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
                killed += 1
        time.sleep(0.01)  # not psutil's wait: it would reap the child, and with it the exit code
    return killed


class Log:
    """The pod's output in one file, cut off in the middle where it grows beyond the limit."""

    def __init__(self, path: Path, *, limit: int = LOG_LIMIT, tail: int = LOG_TAIL) -> None:
        self._file = path.open("ab", buffering=0)
        self._room = max(0, limit - tail - path.stat().st_size)
        self._tail = tail
        self._kept = bytearray()
        self._dropped = 0

    def write(self, data: bytes) -> None:
        """Appends output; beyond the limit only the last part of it is kept."""
        if self._room > 0:
            written = data[: self._room]
            data = data[self._room :]
            self._room -= len(written)
            self._put(written)
        if data:
            self._kept += data
            surplus = len(self._kept) - self._tail
            if surplus > 0:
                del self._kept[:surplus]
                self._dropped += surplus

    def close(self, note: str = "") -> None:
        """Writes what was kept of the end, and a last line of the engine's own."""
        if self._dropped:
            self._put(f"\n[tiphys] {self._dropped} bytes of output left out here\n".encode())
        self._put(bytes(self._kept) + (f"[tiphys] {note}\n".encode() if note else b""))
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        self._file.close()

    def _put(self, data: bytes) -> None:
        # A full disk must not stop the training whose output it is.
        with contextlib.suppress(OSError):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]


class Pod:
    """One command from its start to its end."""

    def __init__(self, folder: Path, plan: dict[str, Any], secrets: dict[str, str]) -> None:
        self.folder = folder
        self.plan = plan
        self.environment = {**plan["env"], **secrets}
        self.created = psutil.Process().create_time()
        self.log = Log(folder / "main.log", limit=plan.get("logLimit", LOG_LIMIT))
        self.reason: str | None = None
        self.kill_at: float | None = None
        self.peak = 0
        self.note = ""
        self.asked = False
        self.selector = selectors.DefaultSelector()
        signal.signal(signal.SIGTERM, self._asked)
        signal.signal(signal.SIGHUP, lambda *_: None)

    def run(self) -> dict[str, Any]:
        """Runs the command to its end and returns the record of it."""
        if (self.folder / "stop.json").exists():  # asked to end before it began
            self.log.close("stopped before it began")
            return {
                "exitCode": 143,
                "finishedAt": time.time(),
                "reason": "shutdown",
                "oomKilled": False,
                "peakMemory": 0,
            }
        try:
            self.child = subprocess.Popen(
                self.plan["command"], env=self.environment, cwd=self.plan["cwd"], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0,
            )  # fmt: skip
        except OSError as error:
            return self._not_started(error)
        assert self.child.stdout is not None
        os.set_blocking(self.child.stdout.fileno(), False)
        self.selector.register(self.child.stdout, selectors.EVENT_READ)
        started = time.monotonic()
        next_look = next_measure = started
        while self.child.poll() is None:
            self._pump(TICK)
            now = time.monotonic()
            if now >= next_look:
                self._look(now - started)
                next_look = now + TICK
            if self.kill_at is not None and now >= self.kill_at:
                self._kill()
            if now >= next_measure:
                self._measure()
                # Looking must never cost more than a twentieth of a core.
                next_measure = now + max(MEMORY_TICK, 20 * (time.monotonic() - now))
        return self._ended()

    def _asked(self, *_: Any) -> None:
        self.asked = True

    def _pump(self, wait: float) -> bool:
        if not self.selector.get_map():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(wait)
            return False
        if not self.selector.select(wait):
            return False
        assert self.child.stdout is not None
        try:
            data = os.read(self.child.stdout.fileno(), 1 << 18)
        except BlockingIOError:
            return False
        if data:
            self.log.write(data)
        else:
            self.selector.unregister(self.child.stdout)
        return bool(data)

    def _look(self, elapsed: float) -> None:
        if self.asked:  # the machine goes down, or a person sent it: the same as a stop
            self._stop("signal")
        deadline = self.plan.get("deadline")
        if deadline is not None and elapsed >= deadline:
            self._stop("deadline")
        with contextlib.suppress(OSError, ValueError):
            request = json.loads((self.folder / "stop.json").read_text())
            self._stop(request["reason"])
            if request.get("kill"):
                self._kill()

    def _stop(self, reason: str) -> None:
        if self.reason is not None:
            return
        self.reason = reason
        self.kill_at = time.monotonic() + self.plan["grace"]
        # The whole process group, as Argo's executor does it: a loader's workers hear the signal too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGTERM)

    def _kill(self) -> None:
        self.reason = self.reason or "killed"
        kill_members(os.getpid(), self.created, self.environment[MARKER])

    def _measure(self) -> None:
        limit = self.plan.get("memoryLimit")
        processes = members(os.getpid(), self.created, None)
        used = sum(_resident(process) for process in processes)
        if limit is not None and used > limit:
            # Pages shared among processes count once per process in rss; the proportional count settles it.
            used = sum(_own(process) for process in processes)
            if used > limit:
                self.reason = "memory"
                self.note = f"killed: it used {used} bytes of memory, resources.limits.memory is {limit}"
                self._kill()
        self.peak = max(self.peak, used)

    def _ended(self) -> dict[str, Any]:
        code = self.child.returncode
        finished = time.time()
        # Asked to stop, the children of a shell may still be saving: they have what is left of the grace.
        while self.kill_at is not None and time.monotonic() < self.kill_at and self.reason != "memory":
            if not members(os.getpid(), self.created, self.environment[MARKER]):
                break
            self._pump(TICK)
            self._look(0)
        kill_members(os.getpid(), self.created, self.environment[MARKER])
        until = time.monotonic() + 5
        while self.selector.get_map() and time.monotonic() < until and self._pump(TICK):
            pass
        if self.child.stdout is not None:
            self.child.stdout.close()
        self.log.close(self.note)
        return {
            "exitCode": 128 - code if code < 0 else code,
            "signal": -code if code < 0 else None,
            "finishedAt": finished,
            "reason": self.reason,
            "oomKilled": self.reason == "memory",
            "peakMemory": self.peak,
            "memoryLimit": self.plan.get("memoryLimit"),
        }

    def _not_started(self, error: OSError) -> dict[str, Any]:
        command = self.plan["command"][0]
        cause = f"cannot run {command!r}: {error.strerror or error}"
        if isinstance(error, FileNotFoundError):
            cause += f" (looked in {self.environment.get('PATH', '')})"
        self.log.close(cause)
        Path(self.environment["TERMINATION_LOG"]).write_text(cause)
        # The codes a shell gives: 127 not found, 126 not to be executed.
        code = 127 if isinstance(error, FileNotFoundError) else 126
        return {"exitCode": code, "finishedAt": time.time(), "reason": None, "oomKilled": False, "peakMemory": 0}


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _own(process: psutil.Process) -> int:
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or getattr(full, "uss", 0) or full.rss)
    except psutil.Error:
        return _resident(process)


def _locked(file: IO[str]) -> bool:
    for _ in range(10):  # an engine that looks holds it for a moment
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.02)
    return False


def main(folder: Path) -> int:
    """Runs the pod in `folder` unless it runs or ran already; exit.json is its last word."""
    with contextlib.suppress(OSError):  # already the leader of its own session
        os.setsid()
    secrets = json.loads(os.environ.pop(SECRETS, "{}"))
    # Held as long as this process lives: tells that the pod lives even where start times have become doubtful.
    with (folder / "alive").open("w") as held:
        if not _locked(held):
            return 0
        draft = folder / f".started.{os.getpid()}"
        write_json(draft, {"pid": os.getpid(), "create_time": psutil.Process().create_time()})
        try:
            os.link(draft, folder / "started.json")
        except FileExistsError:
            return 0
        finally:
            draft.unlink()
        plan = json.loads((folder / "pod.json").read_text())
        write_json(folder / "exit.json", Pod(folder, plan, secrets).run())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
