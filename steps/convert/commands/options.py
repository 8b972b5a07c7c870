"""Reads the command line: one parser with a command each, and what the words of options mean."""

import argparse
import json
from pathlib import Path
from typing import Any, NoReturn

from steps.convert.commands.usage import Usage
from steps.convert.tasks import UnknownTask, canonical_task

TARGETS = ("yolo", "coco", "imagefolder", "masks", "dice", "none")
COMMANDS = ("check", "fix", "show", "convert", "split", "diff", "export")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raises Usage with the message and where help is to be had."""
        raise Usage(f"{message}; see {self.prog} --help")


def read_options(arguments: list[str]) -> argparse.Namespace:
    """Gives the options of one command; raises Usage when they make no sense."""
    parser = Parser(prog="python -m steps.convert", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, told: str, *places: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=told, description=told)
        for place in places:
            one.add_argument(place, type=Path, help="what to make" if place == "out" else "the folder of a dataset")
        one.add_argument("--task", help="what the dataset is for; by default what its layout says")
        one.add_argument("--progress", action="store_true", help="tell progress as JSON lines on standard error")
        one.add_argument("--contained", action="store_true", help="refuse images that are links out of the dataset")
        return one

    def title(one: argparse.ArgumentParser) -> None:
        one.add_argument("--title", metavar="NAME", help="what pages and sheets call the dataset (default: its folder)")

    def split(one: argparse.ArgumentParser) -> None:
        one.add_argument("--split", help="how to split: JSON, or @FILE with JSON in it")

    one = add("check", "tell everything that is wrong with a dataset", "root")
    one.add_argument("--target", choices=TARGETS, default="none", help="check what this target can hold, too")
    one.add_argument("--page", type=Path, metavar="FILE.html", help="write the report as a page")
    title(one)
    split(one)
    add("fix", "write a repaired copy of a dataset", "root", "out")
    one = add("show", "tell the numbers of a dataset and draw samples of it", "root")
    one.add_argument("--sheet", type=Path, metavar="FILE.png", help="draw samples with their labels")
    one.add_argument("--page", type=Path, metavar="FILE.html", help="write numbers and samples as a page")
    title(one)
    split(one)
    one = add("convert", "write a dataset as what a framework reads", "root", "out")
    one.add_argument("--to", choices=[t for t in TARGETS if t != "none"], required=True, help="the target")
    one.add_argument("--labels-only", action="store_true", help="write labels and no images")
    split(one)
    one = add("split", "resolve a split into lists of image ids", "root")
    one.add_argument("--out", type=Path, metavar="FILE.json", help="write the result there as well")
    split(one)
    add("diff", "tell how two datasets differ", "a", "b")
    one = add("export", "write a self-contained copy of a dataset", "root", "out")
    one.add_argument("--to", choices=[t for t in TARGETS if t != "none"], default="dice", help="the target")
    split(one)
    return _understood(parser.parse_args(arguments))


def _understood(options: argparse.Namespace) -> argparse.Namespace:
    if options.task is not None:
        try:
            options.task = canonical_task(options.task)
        except UnknownTask as error:
            raise Usage(f"--task: {error}") from None
    if "title" in options and not options.title:
        options.title = options.root.absolute().name or str(options.root)
    if getattr(options, "split", None) is not None:
        options.split = _split(options.split)
    return options


def _split(text: str) -> dict[str, Any]:
    try:
        value = json.loads(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except OSError as error:
        raise Usage(f"--split: {text[1:]} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Usage(f"--split is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Usage('--split is no JSON object; write it such as {"ratio": [0.8, 0.2], "seed": 42}')
    return value
