"""Trains the job that the environment describes."""

import json
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
    """Runs the job with every way of failing told; `--advanced-keys` prints the settings it understands instead."""
    if "--advanced-keys" in sys.argv[1:]:
        print(json.dumps(config.advanced_keys(), indent=1, sort_keys=True))
        return 0
    sdk = TrainerSDK()
    sdk.install_sigterm()
    return sdk.run(job)


if __name__ == "__main__":
    sys.exit(main())
