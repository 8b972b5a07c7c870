"""Runs the dataset program on this machine, for a path: no API needs to be up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from api.cli.client import find_home
from api.cli.datasets.bar import Bar
from api.cli.datasets.source import Here
from api.cli.fault import Exit, Fault
from api.datasets.progress import Pace, Tick

CODES = {"invalid": Exit.USAGE}


def run_here(
    home: Path | None, sources: list[Here], words: Callable[[list[Path], Path], list[str]], *, json: bool
) -> tuple[int, dict[str, Any]]:
    """Brings datasets here, runs one command of the program over them, and returns its exit code and its result.

    `words` gives the command's words for the datasets' folders and a scratch folder.

    Raises:
        Fault: the program did not do its work.
    """
    # Settings and what they bring along cost half a second: only a command that runs something waits for them.
    from api.cli.settings import read_settings
    from api.datasets.fetch import bring, let_go
    from api.datasets.program import ProgramFailed, environment, execute, result_of, steps_python

    folder = find_home(home)
    settings = read_settings(folder)
    if not folder.is_dir():
        settings = settings.model_copy(update={"cache_claim": ""})  # a look at a dataset leaves no folder behind
    holder = f"here-{os.getpid()}"
    for source in sources:
        _there(source, bucket=settings.storage_type != "file")
    with tempfile.TemporaryDirectory(prefix="tiphys-") as scratch, Bar(silent=json) as bar:
        work, pace = Path(scratch), Pace()

        def hear(tick: Tick) -> None:
            bar.take(pace.take(tick))

        try:
            python = steps_python(settings.environments)
            roots = [
                bring(
                    settings,
                    source.uri,
                    dataset_id=source.name,
                    work=work / f"fetched-{number}",
                    holder=holder,
                    hear=hear,
                    stop=lambda: False,
                )
                for number, source in enumerate(sources)
            ]
            ended = execute(
                [python, "-m", "steps.convert", *words(roots, work), "--progress"],
                environment=environment(work),
                cwd=work,
                hear=hear,
                stop=lambda: False,
                seconds=float("inf"),
            )
            return ended.code, result_of(ended)
        except ProgramFailed as error:
            raise Fault(error.message, cure=error.cure, exit_code=CODES.get(error.code, Exit.FAILED)) from None
        finally:
            let_go(settings, holder)


def _there(source: Here, *, bucket: bool) -> None:
    if source.uri.startswith("s3://") and not bucket:
        raise Fault(
            f"{source.uri} is in a bucket, and nobody has said how to reach it",
            cure="set TIPHYS_STORAGE_TYPE (s3, minio or r2), TIPHYS_STORAGE_ENDPOINT, TIPHYS_STORAGE_ACCESS_KEY and "
            "TIPHYS_STORAGE_SECRET_KEY",
            exit_code=Exit.USAGE,
        )
    if source.uri.startswith("file://"):
        path = Path(unquote(source.uri.removeprefix("file://")))
        if not path.exists():
            raise Fault(f"there is nothing at {path}", cure="check the path", exit_code=Exit.NOT_FOUND)
