"""Runs one command: prints its one JSON object, stops cleanly when it is told to, gives the exit code."""

import contextlib
import errno
import importlib
import json
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from steps.convert.commands.options import read_options
from steps.convert.commands.speaking import Speaker
from steps.convert.commands.usage import Usage
from steps.convert.problems import DatasetRefused, errors
from steps.convert.problems import warnings as warned
from steps.convert.write.proof import ProofFailed

FINE, WRONG, USAGE, TEMPORARY = 0, 1, 2, 75
WRITTEN = ("out", "sheet", "page")  # options that name what is written
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM})


def run(arguments: list[str]) -> int:
    """Carries a command out; the result is one JSON object on standard output, or one line on standard error."""
    places = ""
    try:
        options = read_options(arguments)
        places = " and ".join(str(place) for place in map(vars(options).get, WRITTEN) if place)
        with _stoppable(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what libraries mumble is no line of progress
            # Each command loads what it needs alone: drawing is slow to import.
            module = importlib.import_module(f"steps.convert.commands.{options.command}")
            result, code = module.run(options, Speaker() if options.progress else None)
    except Usage as error:
        return _line(str(error), USAGE)
    except DatasetRefused as refusal:
        result, code = refused(refusal), WRONG
    except ProofFailed as fault:
        return _line(str(fault), WRONG)
    except MemoryError:
        return _line("not enough memory: try again where there is more", TEMPORARY)
    except OSError as error:
        what = str(error.strerror or error)
        if error.filename:
            what = f"{error.filename}: {what}"
        elif places:  # writing to an open file fails without its name
            what = f"writing {places}: {what}"
        if error.errno in FULL:
            return _line(f"{what}; free space or wait, and try again", TEMPORARY)
        return _line(f"{what}; give a place that can be read and written", USAGE)
    # ASCII, because names from broken archives may hold half of a surrogate pair.
    with contextlib.suppress(BrokenPipeError):
        # In one piece: written bit by bit it costs ten times as much, seconds for what a large dataset has to tell.
        sys.stdout.write(json.dumps(result, ensure_ascii=True, allow_nan=False) + "\n")
        sys.stdout.flush()
    return code


def refused(refusal: DatasetRefused) -> dict[str, Any]:
    """Gives a refusal as the two lists that every report has."""
    return {
        "errors": [problem.as_dict() for problem in errors(refusal.problems)],
        "warnings": [problem.as_dict() for problem in warned(refusal.problems)],
    }


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Makes the signals that end a process unwind it instead, so that nothing half-made stays behind."""

    def stop(number: int, _frame: object) -> None:
        for each in stopping:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    stopping = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    before = {each: signal.signal(each, stop) for each in stopping}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _line(text: str, code: int) -> int:
    print(" ".join(text.split()), file=sys.stderr)
    return code
