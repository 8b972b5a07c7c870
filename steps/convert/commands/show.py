"""The command `show`: a dataset's numbers, a sheet of samples, a page."""

from argparse import Namespace
from typing import Any

from steps.convert.check.inspection import inspect
from steps.convert.commands.output import whole_file
from steps.convert.commands.speaking import Speaker
from steps.convert.problems import errors, warnings
from steps.convert.show.numbers import numbers
from steps.convert.show.page import dataset_page
from steps.convert.show.samples import make_samples
from steps.convert.show.sheet import write_sheet


def run(options: Namespace, progress: Speaker | None) -> tuple[dict[str, Any], int]:
    """Gives the numbers; a dataset with errors is shown as far as it can be read, with exit code 1."""
    found = inspect(
        options.root,
        task=options.task,
        split=options.split,
        contained=options.contained,
        everything=True,
        progress=progress,
    )
    result = numbers(found)
    if options.sheet or options.page:
        made = make_samples(found, options.root, progress=progress)
        if options.sheet:
            with whole_file(options.sheet, options.root) as part:
                write_sheet(result, made, part, title=options.title)
        if options.page:
            with whole_file(options.page, options.root) as part:
                part.write_text(dataset_page(result, made, found.problems, title=options.title), encoding="utf-8")
    result["errors"] = [problem.as_dict() for problem in errors(found.problems)]
    result["warnings"] = [problem.as_dict() for problem in warnings(found.problems)]
    return result, 0 if found.sound else 1
