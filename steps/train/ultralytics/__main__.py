"""Entry: what can be refused is refused before the framework is loaded."""

from __future__ import annotations

import json
import os
import sys

from steps.train.ultralytics import config, data, offline
from steps.train.ultralytics.failure import Failure
from steps.trainer_sdk import TrainerSDK


def main(arguments: list[str]) -> int:
    """Train the job that the environment describes; `--advanced-keys` prints what advanced_config may hold."""
    if arguments == ["--advanced-keys"]:
        print(json.dumps(config.advanced_keys(), indent=1, sort_keys=True))
        return 0
    if arguments:
        print("usage: python -m steps.train.ultralytics [--advanced-keys]", file=sys.stderr)
        return 1
    sdk = TrainerSDK()
    sdk.install_sigterm()
    return int(sdk.run(_job))


def _job(sdk: TrainerSDK) -> int:
    offline.prepare(sdk.tmp_dir)
    try:
        wanted = config.read(basic=sdk.get_basic_config(), advanced=sdk.get_advanced_config(), environ=os.environ)
        dataset = data.load(sdk.work_dir, data_file=sdk.run_dir / "data.yaml")
    except Failure as failure:
        sdk.report_failed(failure.error_type, failure.message, epochs_completed=0, detail=failure.detail)
        return int(failure.exit_code)
    counts = {split: len(paths) for split, paths in dataset.images.items()}
    names = [entry["name"] for entry in dataset.classes]
    sdk.event(
        "dataset_loaded",
        f"{counts['train']} training and {counts['val']} validation images, {len(names)} classes",
        data={"images": counts, "boxes": dataset.boxes, "classes": names},
    )
    if wanted.batch > counts["train"]:
        message = f"batch {wanted.batch} is larger than the {counts['train']} training images; every step sees them all"
        sdk.event("batch_larger_than_dataset", message, "warning")
    from steps.train.ultralytics import job  # loads torch: only after prepare() and all checks

    return job.run(sdk, wanted, dataset)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
