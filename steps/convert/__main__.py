"""Runs the convert step in a pipeline (`--target T`), or one of the commands for people and for the platform."""

import argparse
import sys

from steps.convert.commands.options import COMMANDS
from steps.convert.commands.run import run
from steps.convert.convert import TARGETS
from steps.convert.step import run_step
from steps.trainer_sdk import TrainerSDK


def main(arguments: list[str] | None = None) -> int:
    """Gives the exit code: 0 fine, 1 the dataset has errors, 2 usage, 75 try again."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and (arguments[0] in COMMANDS or not arguments[0].startswith("-")):
        return run(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m steps.convert",
        description=__doc__,
        epilog=f"commands: {', '.join(COMMANDS)}; each tells more with --help",
    )
    parser.add_argument("--target", choices=TARGETS, default="yolo", help="what the framework reads (default: yolo)")
    options = parser.parse_args(arguments)
    return int(TrainerSDK().run(lambda sdk: run_step(sdk, target=options.target)))


if __name__ == "__main__":
    sys.exit(main())
