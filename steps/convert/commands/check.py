"""The command `check`: everything that is wrong with a dataset, as JSON and as a page."""

from argparse import Namespace
from typing import Any

from steps.convert.check.fix import repairs
from steps.convert.check.inspection import inspect
from steps.convert.commands.output import whole_file
from steps.convert.commands.speaking import Speaker
from steps.convert.show.report import report_page


def run(options: Namespace, progress: Speaker | None) -> tuple[dict[str, Any], int]:
    """Gives the report, and 1 when the dataset has errors."""
    found = inspect(
        options.root,
        task=options.task,
        split=options.split,
        target=options.target,
        contained=options.contained,
        everything=True,
        progress=progress,
    )
    if options.page:
        with whole_file(options.page, options.root) as part:
            part.write_text(report_page(found, title=options.title), encoding="utf-8")
    return found.report() | {"repairs": repairs(found)}, 0 if found.sound else 1
