"""The command `split`: the resolved split as lists of image ids, with a table of classes by part."""

import json
from argparse import Namespace
from typing import Any

from steps.convert.commands.output import whole_file
from steps.convert.commands.speaking import Speaker
from steps.convert.facts import split_facts
from steps.convert.problems import errors, warnings
from steps.convert.read.reading import read
from steps.convert.show.numbers import class_table
from steps.convert.split.resolve import resolve_split


def run(options: Namespace, progress: Speaker | None) -> tuple[dict[str, Any], int]:
    """Gives the split; reads labels alone, no image."""
    reading = read(options.root, task=options.task, everything=False, contained=options.contained, progress=progress)
    dataset = reading.dataset
    split, problems = resolve_split(dataset, job=options.split)
    result = {
        "layout": dataset.layout,
        "task": dataset.task,
        "split": split_facts(split),
        "classes": [
            {"index": c["index"], "name": c["name"], **c["parts"], "images": c["part_images"]}
            for c in class_table(dataset, split)
        ],
        "ids": {**{part: list(ids) for part, ids in split.parts().items()}, "left_out": list(split.left_out)},
        "errors": [problem.as_dict() for problem in errors(problems)],
        "warnings": [problem.as_dict() for problem in warnings(problems)],
    }
    if options.out:
        with whole_file(options.out, options.root) as part:
            part.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result, 1 if errors(problems) else 0
