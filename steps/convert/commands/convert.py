"""The command `convert`: a dataset as what a framework reads, in a new folder."""

from argparse import Namespace
from typing import Any

from steps.convert.check.inspection import inspect
from steps.convert.commands.making import make
from steps.convert.commands.output import check_out, whole_folder
from steps.convert.commands.speaking import Speaker
from steps.convert.convert import write_json


def run(options: Namespace, progress: Speaker | None) -> tuple[dict[str, Any], int]:
    """Gives what conversion.json holds; nothing is written for a dataset with errors."""
    check_out(options.out, options.root)
    found = inspect(
        options.root,
        task=options.task,
        split=options.split,
        target=options.to,
        contained=options.contained,
        labels_only=options.labels_only,
        progress=progress,
    )
    if not found.sound:
        return {**found.report(), "target": options.to}, 1
    with whole_folder(options.out) as fresh:
        made = make(
            found,
            target=options.to,
            folder=fresh,
            final=options.out.absolute(),
            labels_only=options.labels_only,
            progress=progress,
        )
        write_json(fresh / "conversion.json", made)
    return made, 0
