"""A run's whole state as JSON: what is saved after an epoch is all that the next one needs."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK, write_whole

FORMAT = "toy-softmax-1"


@dataclass
class State:
    """The model, its optimizer and its random numbers after `epoch` whole epochs."""

    classes: list[str]
    weights: list[list[float]]
    """Per class: x, y, width, height, bias."""
    velocity: list[list[float]]
    rng: list[Any]
    epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    best_value: float | None = None
    best_metrics: dict[str, float] = field(default_factory=dict)


def fresh(classes: Sequence[str], *, seed: int) -> State:
    """Returns the state before the first epoch."""
    rng = random.Random(seed)
    weights = [[rng.uniform(-0.1, 0.1) for _ in range(5)] for _ in classes]
    version, numbers, gauss = rng.getstate()
    return State(list(classes), weights, [[0.0] * 5 for _ in classes], [version, list(numbers), gauss])


def save(state: State, path: Path) -> Path:
    """Writes a checkpoint, whole or not at all; floats come back bit for bit."""
    write_whole(path, json.dumps({"format": FORMAT, **asdict(state)}).encode())
    return path


def read(path: Path, classes: Sequence[str]) -> State:
    """Reads a checkpoint; raises CHECKPOINT_ERROR for what is none, or is of other classes."""
    try:
        content = json.loads(path.read_bytes())
        if content.pop("format") != FORMAT:
            raise ValueError("another format")
        state = State(**content)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is no checkpoint of this trainer ({error}): delete it, or start a new job"
        raise TrainerError(ErrorType.CHECKPOINT_ERROR, message) from None
    if state.classes != list(classes):
        names = f"{', '.join(state.classes)}, the dataset has {', '.join(classes)}"
        raise TrainerError(ErrorType.CHECKPOINT_ERROR, f"{path} knows the classes {names}: start a new job")
    return state


def restore(sdk: TrainerSDK, classes: Sequence[str]) -> State | None:
    """Returns the state to go on from: the workspace's `last.json`, else the storage's where RESUME asks for it."""
    last, best = sdk.run_dir / "last.json", sdk.run_dir / "best.json"
    if not last.is_file() and sdk.resume and sdk.storage.exists(f"{sdk.checkpoints_uri}last.json"):
        if sdk.storage.exists(f"{sdk.checkpoints_uri}best.json"):
            sdk.download_checkpoint(f"{sdk.checkpoints_uri}best.json", best)
        sdk.download_checkpoint(f"{sdk.checkpoints_uri}last.json", last)
    return read(last, classes) if last.is_file() else None
