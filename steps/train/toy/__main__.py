"""Trains the job that the environment describes."""

import sys

from steps.train.toy import config, data, train
from steps.trainer_sdk import TrainerSDK


def job(sdk: TrainerSDK) -> int:
    """Reads what is asked for and what there is, trains, returns the exit code."""
    wanted = config.read(sdk.get_basic_config(), sdk.get_advanced_config())
    dataset = data.load(sdk.work_dir)
    boxes = {part: len(dataset.boxes[part]) for part in ("train", "val")}
    sdk.event("dataset_loaded", f"{boxes['train']} boxes to learn from", data={"boxes": boxes})
    if wanted.batch > boxes["train"]:
        message = f"batch {wanted.batch} is larger than the {boxes['train']} training boxes: every step sees them all"
        sdk.event("batch_larger_than_dataset", message, level="warning")
    return train.run(sdk, wanted, dataset)


def main() -> int:
    """Runs the job with every way of failing told."""
    sdk = TrainerSDK()
    sdk.install_sigterm()
    return sdk.run(job)


if __name__ == "__main__":
    sys.exit(main())
