"""What the job asks of this trainer, checked before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steps.trainer_sdk import ErrorType, TrainerError

METRICS = ("train/loss", "val/loss", "val/accuracy")
OPTIMIZERS = ("auto", "sgd")
ADVANCED: Mapping[str, tuple[float, float, float, str]] = {  # default, least, most, what it does
    "momentum": (0.0, 0.0, 0.999, "share of the last step that is kept"),
    "weight_decay": (0.0, 0.0, 1.0, "pull of the weights towards 0"),
    "epoch_seconds": (0.0, 0.0, 3600.0, "least duration of an epoch: slows training down to watch it"),
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The settings of one run."""

    epochs: int
    batch: int
    learning_rate: float
    seed: int
    metric: str
    mode: str
    momentum: float
    weight_decay: float
    epoch_seconds: float

    def better(self, value: float, than: float | None) -> bool:
        """Tells whether a value of the primary metric beats the best so far."""
        return than is None or (value > than if self.mode == "max" else value < than)


def advanced_keys() -> dict[str, dict[str, Any]]:
    """Gives each setting's type, default, bounds and description."""
    return {
        key: {"type": ["number"], "default": default, "minimum": least, "maximum": most, "description": what}
        for key, (default, least, most, what) in ADVANCED.items()
    }


def read(basic: Mapping[str, Any], advanced: Mapping[str, Any]) -> Wanted:
    """Checks the settings; raises CONFIG_ERROR with everything that is wrong."""
    problems = []
    if unknown := sorted(set(advanced) - set(ADVANCED)):
        known = "; ".join(f"{key} ({row[3]})" for key, row in ADVANCED.items())
        problems.append(f"advanced_config: unknown {', '.join(unknown)}; known are {known}")
    values = {}
    for key, (default, least, most, _) in ADVANCED.items():
        value = advanced.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            problems.append(f"advanced_config.{key} must be a number from {least:g} to {most:g}, not {value!r}")
        else:
            values[key] = float(value)
    metric, mode = basic["primary_metric"] or "val/accuracy", basic["primary_metric_mode"]
    if metric not in METRICS:
        problems.append(f"primary_metric {metric!r} is none of {', '.join(METRICS)}")
    if mode not in ("min", "max"):
        problems.append(f"primary_metric_mode must be min or max, not {mode!r}")
    if basic["optimizer"].lower() not in OPTIMIZERS:
        problems.append(f"optimizer {basic['optimizer']!r} is none of {', '.join(OPTIMIZERS)}")
    if basic["batch"] < 1:
        problems.append(f"batch must be 1 or more, not {basic['batch']}")
    if problems:
        raise TrainerError(ErrorType.CONFIG_ERROR, "; ".join(problems))
    same = {key: basic[key] for key in ("epochs", "batch", "learning_rate", "seed")}
    return Wanted(**same, metric=metric, mode=mode, **values)
