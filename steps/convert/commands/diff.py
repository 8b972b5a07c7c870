"""The command `diff`: how two datasets differ, in numbers and in sentences."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from steps.convert.check.inspection import Inspection, inspect
from steps.convert.commands.speaking import Speaker
from steps.convert.problems import DatasetRefused
from steps.convert.show.diff import diff


def run(options: Namespace, progress: Speaker | None) -> tuple[dict[str, Any], int]:
    """Gives the differences; exit code 0 whether there are any or not, 1 where one of the two cannot be read."""
    # What A is read for, B is read for: two guesses that differ would make everything look changed.
    a = _readable(options.a, options, options.task, progress)
    b = _readable(options.b, options, options.task or a.task, progress)
    return diff(a, b), 0


def _readable(root: Path, options: Namespace, task: str | None, progress: Speaker | None) -> Inspection:
    found = inspect(root, task=task, contained=options.contained, everything=True, progress=progress)
    if found.dataset is None:
        raise DatasetRefused(found.problems, layout=found.layout)
    return found
