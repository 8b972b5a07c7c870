"""The command `fix`: a repaired copy of a dataset, and what was done to it; no copy where nothing can be repaired."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from steps.convert.check.fix import repaired, write_repaired
from steps.convert.check.inspection import Inspection, inspect
from steps.convert.check.repair import Repair
from steps.convert.commands.output import check_out, whole_folder
from steps.convert.commands.speaking import Speaker
from steps.convert.problems import DatasetRefused, Problem


def run(options: Namespace, progress: Speaker | None) -> tuple[dict[str, Any], int]:
    """Gives what was repaired and what is left; 1 when errors are left."""
    check_out(options.out, options.root)
    found = inspect(options.root, task=options.task, contained=options.contained, everything=True, progress=progress)
    if found.dataset is None:
        raise DatasetRefused(found.problems, layout=found.layout)
    repair, files = repaired(found)
    if not repair.fixes:
        return _result(found, repair, found, left=found.problems, links=0), 0 if found.sound else 1
    with whole_folder(options.out) as fresh:
        written = write_repaired(repair, files, folder=fresh, final=options.out.absolute(), progress=progress)
        checked = inspect(fresh, task=found.task, everything=True, progress=progress)
    left = [*repair.left, *checked.problems]
    return _result(found, repair, checked, left=left, links=written["links"]), 0 if checked.sound else 1


def _result(
    found: Inspection, repair: Repair, checked: Inspection, *, left: Sequence[Problem], links: int
) -> dict[str, Any]:
    return {
        "layout_in": found.layout,
        "task": found.task,
        "fixes": [fix.as_dict() for fix in repair.fixes],
        "left": [problem.as_dict() for problem in left],
        "links": links,
        "report": checked.report(),
    }
