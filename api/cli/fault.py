"""What the command line says when something is wrong: one line, one cure, one exit code."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes, for scripts."""

    OK = 0
    FAILED = 1  # the job failed, or the platform refused
    USAGE = 2  # wrong arguments or a job described wrongly
    UNREACHABLE = 3  # no API, or it does not answer
    NOT_FOUND = 4
    CANCELLED = 5
    INTERRUPTED = 130


class Fault(Exception):
    """Ends the command with a message, a cure and an exit code."""

    def __init__(self, message: str, *, cure: str = "", exit_code: Exit = Exit.FAILED, body: object = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.exit_code = exit_code
        self.body = body
