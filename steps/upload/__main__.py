"""Runs the upload step."""

import argparse
import sys

from steps.trainer_sdk import TrainerSDK
from steps.upload.step import run_step


def main() -> int:
    """Gives the exit code: 0 done, 1 no checkpoint where one is required, 75 try again."""
    parser = argparse.ArgumentParser(prog="python -m steps.upload", description=__doc__)
    parser.add_argument("--require-checkpoint", action="store_true", help="fail when there is no checkpoint at all")
    options = parser.parse_args()
    return int(TrainerSDK().run(lambda sdk: run_step(sdk, require_checkpoint=options.require_checkpoint)))


if __name__ == "__main__":
    sys.exit(main())
