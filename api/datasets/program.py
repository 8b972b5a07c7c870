"""Runs the steps' own dataset program as a process: heard while it runs, stopped when told, nothing left running."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from api.datasets.progress import Tick
from api.settings import SOURCE

LOOK_EVERY = 0.1
"""Seconds between two looks at a process that runs."""
GRACE = 5.0
"""Seconds a process has to clear up after it was asked to end."""
_TAIL = 600


class ProgramFailed(Exception):
    """The program did not do its work: a stable code, what happened, and the cure."""

    def __init__(self, code: str, message: str, *, cure: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.cure = cure


class Stopped(Exception):
    """It was told to end, and has."""


Hear = Callable[[Tick], None]


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    out: bytes
    told: str
    """Its last words that are no progress."""


def steps_python(environments: Path) -> Path:
    """Returns the interpreter of the steps' environment; raises ProgramFailed where it was never made."""
    python = environments / "steps" / "bin" / "python"
    if not python.exists():
        raise ProgramFailed(
            "environment_missing",
            f"the environment of the steps is missing: there is no {python}",
            cure="set it up: make environments, or point TIPHYS_ENVIRONMENTS at it",
        )
    return python


def environment(scratch: Path) -> dict[str, str]:
    """Returns what the program gets to see: a result must not depend on how its caller was started."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
    }


def execute(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    hear: Hear,
    stop: Callable[[], bool],
    seconds: float,
    started: Callable[[int], None] = lambda _: None,
    progress_file: Path | None = None,
) -> Ended:
    """Runs a command to its end; `started` hears its process id, which is its group's, too.

    Raises:
        Stopped: `stop` said so. ProgramFailed: it took longer than `seconds`.
    """
    with tempfile.TemporaryFile(dir=cwd) as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(environment),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            start_new_session=True,  # its own group: what it starts ends with it
        )
        assert process.stderr is not None
        listener = _Listener(process.stderr)
        listener.start()
        try:
            started(process.pid)
            _follow(process, listener, hear=hear, stop=stop, seconds=seconds, progress_file=progress_file)
        finally:
            end_group(process.pid, process)
            # To the end, which comes with the last process that could write: its last words say why it failed.
            listener.join(GRACE)
            if not listener.is_alive():
                process.stderr.close()
        if listener.latest is not None:
            hear(listener.latest)
        out.seek(0)
        return Ended(code=process.returncode, out=out.read(), told=listener.told())


def end_group(pid: int, process: subprocess.Popen[bytes]) -> None:
    """Ends a process and what it started: asked first, killed after its grace."""
    if process.poll() is None:
        _signal(pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    _signal(pid, signal.SIGKILL)
    process.wait()


def result_of(ended: Ended, *, fine: Iterable[int] = (0, 1)) -> dict[str, Any]:
    """Returns the JSON object a command printed; raises ProgramFailed where it ended otherwise than by one."""
    if ended.code == 2:
        raise ProgramFailed("invalid", ended.told, cure="correct what was asked for")
    if ended.code == 75:
        full = "no space" in ended.told.lower() or "disk" in ended.told.lower()
        told, _, cure = ended.told.rpartition("; ")  # behind the last semicolon stands what cures it
        raise ProgramFailed(
            "disk_full" if full else "temporary",
            told or cure,
            cure=cure if told else "free what is short, and try again",
        )
    try:
        value = _sendable(json.loads(ended.out))
    except ValueError:
        value = None
    if ended.code in fine and isinstance(value, dict):
        return value
    raise ProgramFailed("crashed", f"the program {_how(ended.code)}: {ended.told}", cure=_cure(ended.code))


def _sendable(value: Any) -> Any:
    """Returns a value whose texts are all Unicode: half a surrogate pair, as of a broken name, is nothing to send."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sendable(name): _sendable(item) for name, item in value.items()}
    return [_sendable(item) for item in value] if isinstance(value, list) else value


def _how(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _cure(code: int) -> str:
    if code == -signal.SIGKILL:
        return "most likely memory ran out: try again where there is more"
    return "try again; where it ends so again, report it with these words"


def _follow(
    process: subprocess.Popen[bytes],
    listener: _Listener,
    *,
    hear: Hear,
    stop: Callable[[], bool],
    seconds: float,
    progress_file: Path | None,
) -> None:
    deadline = time.monotonic() + seconds
    heard: Tick | None = None
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_EVERY)
            return
        latest = listener.latest or _progress(progress_file, process.pid)
        if latest is not None and latest != heard:
            heard = latest
            hear(latest)
        if stop():
            raise Stopped
        if time.monotonic() > deadline:
            raise ProgramFailed(
                "timeout",
                f"it took longer than {seconds:g} s",
                cure="do it by hand (tiphys dataset, with the path), or raise TIPHYS_DATASET_TASK_TIMEOUT",
            )


def _progress(file: Path | None, pid: int) -> Tick | None:
    """Reads the `done/total` that a step of a job writes for the workflow's executor."""
    if file is None:
        return None
    try:
        done, _, total = file.read_text().strip().rpartition("\n")[2].partition("/")
        return Tick(phase="fetch", done=int(done), total=int(total), bytes=_written(pid))
    except (OSError, ValueError):
        return None


def _written(pid: int) -> int | None:
    """Returns the bytes a process has written, where the system counts them: of one that fetches, what it fetched."""
    try:
        counters = psutil.Process(pid).io_counters()
    except (psutil.Error, AttributeError):  # gone, or a system that does not count
        return None
    return int(getattr(counters, "write_chars", counters.write_bytes))


class _Listener(threading.Thread):
    """Reads what a process says beside its result: progress lines, and words for people."""

    def __init__(self, stream: Any) -> None:
        super().__init__(name="dataset-program", daemon=True)
        self._stream = stream
        self._words: deque[str] = deque(maxlen=20)
        self.latest: Tick | None = None

    def run(self) -> None:
        with contextlib.suppress(ValueError, OSError):  # the pipe was closed under it: the process has ended
            for raw in self._stream:
                line = raw.decode("utf-8", "replace").strip()
                tick = _tick(line)
                if tick is not None:
                    self.latest = tick
                elif line:
                    self._words.append(line)

    def told(self) -> str:
        return self._words[-1][-_TAIL:] if self._words else "it said nothing"


def _tick(line: str) -> Tick | None:
    if not line.startswith("{"):
        return None
    try:
        told = json.loads(line)
        return Tick(
            phase=str(told["phase"]),
            done=int(told["done"]),
            total=int(told["total"]),
            bytes=int(told["bytes"]) if told.get("bytes") is not None else None,
        )
    except (ValueError, KeyError, TypeError):
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
