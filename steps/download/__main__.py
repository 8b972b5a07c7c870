"""Runs the download step."""

import sys

from steps.download.step import run_step
from steps.trainer_sdk import TrainerSDK

if __name__ == "__main__":
    sys.exit(TrainerSDK().run(run_step))
