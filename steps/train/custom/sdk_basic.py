"""A trainer with the SDK that does all a job can ask for: checkpoints, best and last, cancellation, SIGTERM, resume."""

import json
import sys
import traceback
from pathlib import Path

from trainer_sdk import ErrorType, TrainerSDK, write_whole

Box = tuple[int, list[float]]


def read_boxes(folder: Path) -> list[Box]:
    """Reads YOLO label files as (class, [x, y, width, height, 1])."""
    lines = [line.split() for file in sorted(folder.glob("*.txt")) for line in file.read_text().splitlines()]
    return [(int(line[0]), [*map(float, line[1:5]), 1.0]) for line in lines]


def guess(weights: list[list[float]], box: list[float]) -> int:
    """Returns the class with the highest score."""
    scores = [sum(w * v for w, v in zip(row, box, strict=True)) for row in weights]
    return scores.index(max(scores))


def train_one_epoch(weights: list[list[float]], boxes: list[Box], rate: float) -> float:
    """Perceptron: moves the weights at each mistake; returns the share of mistakes."""
    mistakes = 0
    for index, box in boxes:
        said = guess(weights, box)
        if said != index:
            mistakes += 1
            for column, value in enumerate(box):
                weights[index][column] += rate * value
                weights[said][column] -= rate * value
    return mistakes / len(boxes)


def main() -> int:
    """Trains and returns the exit code: 0, 1, 143 after SIGTERM; the SDK itself ends with 2 where nobody listens."""
    sdk = TrainerSDK()
    sdk.install_sigterm()
    state = {"epoch": 0, "weights": [], "best": -1.0}
    try:
        config = sdk.get_basic_config()
        epochs, rate = config["epochs"], config["learning_rate"]
        dataset = sdk.download_dataset(sdk.dataset_id)
        converted = Path(sdk.convert_dataset(dataset, "dice", "yolo"))
        train, val = (read_boxes(converted / "labels" / part) for part in ("train", "val"))
        if not train or not val:
            sdk.report_failed(ErrorType.DATASET_ERROR, f"no boxes in {converted}/labels: annotate both splits")
            return 1
        last = sdk.run_dir / "last.json"
        if not last.exists() and sdk.resume and sdk.storage.exists(f"{sdk.checkpoints_uri}last.json"):
            sdk.download_checkpoint(f"{sdk.checkpoints_uri}last.json", last)
        if last.exists():  # the pod before this one was stopped
            state = json.loads(last.read_text())
        else:
            state["weights"] = [[0.0] * 5 for _ in range(1 + max(index for index, _ in train + val))]

        sdk.report_started("training", total_epochs=epochs)
        while state["epoch"] < epochs and sdk.should_continue:
            loss = train_one_epoch(state["weights"], train, rate)
            state["epoch"] += 1
            accuracy = sum(guess(state["weights"], box) == index for index, box in val) / len(val)
            metrics = {"loss": loss, "accuracy": accuracy}
            improved, state["best"] = accuracy > state["best"], max(accuracy, state["best"])
            write_whole(last, json.dumps(state).encode())
            if improved:
                write_whole(sdk.run_dir / "best.json", json.dumps(state).encode())
                sdk.upload_async(sdk.run_dir / "best.json", "best", metrics, state["epoch"])
            sdk.upload_async(last, "last", metrics, state["epoch"])
            sdk.report_progress(state["epoch"], epochs, metrics)

        if state["epoch"] < epochs:
            return sdk.report_cancelled(total_epochs=state["epoch"])
        sdk.report_completed({"accuracy": state["best"]}, total_epochs=epochs)
        return 0
    except Exception as error:
        sdk.report_failed(ErrorType.TRAINING_ERROR, str(error), traceback.format_exc(), state["epoch"])
        return 1
    finally:
        sdk.close()


if __name__ == "__main__":
    sys.exit(main())
