"""Runs the convert step, or checks a dataset folder for a person: `--check PATH [--task T] [--json]`."""

import argparse
import json
import sys
from pathlib import Path

from steps.convert.convert import TARGETS
from steps.convert.inspection import Inspection, inspect
from steps.convert.problems import SHOWN, errors, warnings
from steps.convert.step import run_step
from steps.convert.tasks import UnknownTask, canonical_task
from steps.trainer_sdk import TrainerSDK


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code: 0 done or clean, 1 problems, 75 try again."""
    parser = argparse.ArgumentParser(prog="python -m steps.convert", description=__doc__)
    parser.add_argument("--target", choices=TARGETS, help="what the framework reads (default: yolo)")
    parser.add_argument("--check", type=Path, metavar="PATH", help="check this dataset folder and write nothing")
    parser.add_argument("--task", default="object_detection", help="task to check for")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    if options.check is None:
        return int(TrainerSDK().run(lambda sdk: run_step(sdk, target=options.target or "yolo")))
    try:
        task = canonical_task(options.task)
    except UnknownTask as error:
        parser.error(str(error))
    target = options.target or ("yolo" if task == "object_detection" else "none")
    found = inspect(options.check, task=task, target=target, contained=True)
    print(json.dumps(found.report(), ensure_ascii=True) if options.json else _text(found, options.check))
    return 0 if found.sound else 1


def _text(found: Inspection, root: Path) -> str:
    report = found.report()
    lines = [f"{root}: layout {report['layout']}, task {report['task']}"]
    if counts := report["counts"]:
        head = f"{counts['images']} images, {counts['annotations']} annotations"
        lines.append(f"{head}, {counts['negatives']} negative, {counts['unlabeled']} unlabeled")
        lines += [f"  {c['index']:>3}  {c['name']} (id {c['id']})" for c in report["classes"]]
        lines.append(f"version {report['dataset_version_hash']}")
    for title, found_here in (("errors", errors(found.problems)), ("warnings", warnings(found.problems))):
        if found_here:
            lines.append(f"{len(found_here)} {title}:")
            lines += [f"  {problem.line()}" for problem in found_here[:SHOWN]]
            if len(found_here) > SHOWN:
                lines.append(f"  … and {len(found_here) - SHOWN} more (--json prints all)")
    return "\n".join([*lines, "" if found.sound else "The dataset cannot be used as it is."]).rstrip()


if __name__ == "__main__":
    sys.exit(main())
