"""The training itself: epochs of gradient descent, each of them saved, told and stoppable."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Sequence

from steps.train.toy import checkpoints
from steps.train.toy.checkpoints import State
from steps.train.toy.config import Wanted
from steps.train.toy.data import Box, Dataset
from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK, write_whole

LOOK = 0.05  # seconds between two looks at `should_continue` while an epoch is made to last


def run(sdk: TrainerSDK, wanted: Wanted, dataset: Dataset) -> int:
    """Trains from where the last run stopped, or from the start; returns the exit code."""
    names = [entry["name"] for entry in dataset.classes]
    write_whole(sdk.run_dir / "classes.json", json.dumps({"classes": list(dataset.classes)}).encode())
    state = checkpoints.restore(sdk, names)
    if state is None:
        state = checkpoints.fresh(names, seed=wanted.seed)
        checkpoints.save(state, sdk.run_dir / "last.json")
    elif state.epoch:
        sdk.event("resumed", f"going on after epoch {state.epoch}", data={"epoch": state.epoch})
        _upload(sdk, state)  # the process before may have died before its uploads were through
    sdk.report_started("training", total_epochs=wanted.epochs)
    while state.epoch < wanted.epochs and sdk.should_continue:
        began = time.monotonic()
        loss = _descend(sdk, state, wanted, dataset.boxes["train"])
        if loss is None:
            break
        _close_epoch(sdk, state, wanted, {"train/loss": loss, **evaluate(state.weights, dataset.boxes["val"])})
        while sdk.should_continue and (left := began + wanted.epoch_seconds - time.monotonic()) > 0:
            time.sleep(min(left, LOOK))
    if state.epoch < wanted.epochs:
        return int(sdk.report_cancelled(state.metrics, total_epochs=state.epoch))
    sdk.set_output("train", "best_metric", state.best_metrics[wanted.metric])
    sdk.set_output("train", "epochs", state.epoch)
    sdk.report_completed(state.best_metrics, total_epochs=state.epoch)
    return 0


def _descend(sdk: TrainerSDK, state: State, wanted: Wanted, boxes: Sequence[Box]) -> float | None:
    """Makes one epoch of steps and returns the mean loss; None, and the state as it was, where it had to stop."""
    rng = random.Random()
    version, numbers, gauss = state.rng
    rng.setstate((version, tuple(numbers), gauss))
    order = list(boxes)
    rng.shuffle(order)
    weights, velocity = [list(row) for row in state.weights], [list(row) for row in state.velocity]
    total = 0.0
    for start in range(0, len(order), wanted.batch):
        if not sdk.should_continue:
            return None
        batch = order[start : start + wanted.batch]
        gradient = [[0.0] * 5 for _ in weights]
        for index, box in batch:
            chances, loss = _predict(weights, index, box)
            total += loss
            for row, chance in enumerate(chances):
                slope = (chance - (row == index)) / len(batch)
                for column, value in enumerate((*box, 1.0)):
                    gradient[row][column] += slope * value
        for row, slopes in enumerate(gradient):
            for column, slope in enumerate(slopes):
                step = slope + wanted.weight_decay * weights[row][column]
                velocity[row][column] = wanted.momentum * velocity[row][column] + step
                weights[row][column] -= wanted.learning_rate * velocity[row][column]
    state.weights, state.velocity = weights, velocity
    version, numbers, gauss = rng.getstate()
    state.rng = [version, list(numbers), gauss]
    return total / len(order)


def _predict(weights: Sequence[Sequence[float]], index: int, box: Sequence[float]) -> tuple[list[float], float]:
    """Returns the chance of each class and the cross entropy of the true one."""
    scores = [sum(w * v for w, v in zip(row, (*box, 1.0), strict=True)) for row in weights]
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    whole = sum(powers)
    return [power / whole for power in powers], math.log(whole) + top - scores[index]


def evaluate(weights: Sequence[Sequence[float]], boxes: Sequence[Box]) -> dict[str, float]:
    """Returns `val/loss` (mean cross entropy) and `val/accuracy` (0 to 1)."""
    total, right = 0.0, 0
    for index, box in boxes:
        chances, loss = _predict(weights, index, box)
        total += loss
        right += chances.index(max(chances)) == index
    return {"val/loss": total / len(boxes), "val/accuracy": right / len(boxes)}


def _close_epoch(sdk: TrainerSDK, state: State, wanted: Wanted, metrics: dict[str, float]) -> None:
    """Saves, uploads and tells an epoch; raises VALIDATION_ERROR where its numbers are none."""
    epoch = state.epoch + 1
    if lost := [name for name, value in metrics.items() if not math.isfinite(value)]:
        sdk.heartbeat(epoch, wanted.epochs, metrics=metrics)
        message = f"{', '.join(lost)} is not finite in epoch {epoch}: lower learning_rate (now {wanted.learning_rate})"
        raise TrainerError(ErrorType.VALIDATION_ERROR, message)
    state.epoch, state.metrics = epoch, metrics
    improved = wanted.better(metrics[wanted.metric], state.best_value)
    if improved:
        state.best_epoch, state.best_value, state.best_metrics = epoch, metrics[wanted.metric], metrics
        checkpoints.save(state, sdk.run_dir / "best.json")
    checkpoints.save(state, sdk.run_dir / "last.json")
    _upload(sdk, state, best=improved)
    sdk.report_progress(epoch, wanted.epochs, {**metrics, "lr": wanted.learning_rate})


def _upload(sdk: TrainerSDK, state: State, *, best: bool = True) -> None:
    if best and (sdk.run_dir / "best.json").is_file():
        sdk.upload_async(sdk.run_dir / "best.json", "best", state.best_metrics, state.best_epoch)
    sdk.upload_async(sdk.run_dir / "last.json", "last", state.metrics, state.epoch)
