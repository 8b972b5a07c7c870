"""Watches what code does while it is fuzzed: it may write only below one folder, and must come to an end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Which arguments of an audit event name something that is written; os.open and open tell by their flags.
EVENTS = {
    "os.mkdir": (0,), "os.rename": (0, 1), "os.remove": (0,), "os.rmdir": (0,), "os.symlink": (1,), "os.link": (1,),
    "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,), "shutil.rmtree": (0,),
    "shutil.copyfile": (1,), "os.setxattr": (0,),
}  # fmt: skip
_allowed: list[str] = []  # the folder that may be written to, while a guard is on
_broken: list[str] = []
_hooked = False


class Hung(BaseException):
    """Something that did not end in time; no `except Exception` may swallow it."""


@contextmanager
def guarded(folder: Path, *, seconds: float = 20) -> Iterator[None]:
    """Raises AssertionError if anything outside `folder` was written in the block, and Hung if it takes too long."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_hear)
        _hooked = True

    def late(_number: int, _frame: object) -> None:
        raise Hung(f"no end after {seconds} s")

    _broken.clear()
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    _allowed.append(os.path.realpath(folder))
    try:
        yield
    finally:
        _allowed.pop()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not _broken, f"written outside: {_broken[:5]}"


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _allowed:
        return
    if event == "open":
        path, mode, flags = arguments
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & WRITING):
            _see(event, path)
    elif event in EVENTS:
        for position in EVENTS[event]:
            _see(event, arguments[position])


def _see(event: str, path: Any) -> None:
    # Numbers are open files; a bare name belongs to a folder that was opened before, and was seen then.
    if isinstance(path, int):
        return
    text = os.fsdecode(path)
    if "/" not in text and text not in ("..", "."):
        return
    if text == "/dev/null" or "/__pycache__/" in text:
        return
    real = os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))
    if event in ("open", "os.truncate"):
        real = os.path.realpath(text)
    if not real.startswith(_allowed[-1] + os.sep) and real != _allowed[-1]:
        _broken.append(f"{event} {text}")
