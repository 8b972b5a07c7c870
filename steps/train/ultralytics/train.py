"""The framework's detection trainer, made exact: resumable epochs, a best by the job's metric, no silent rescue."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.torch_utils import unwrap_model

from steps.train.ultralytics import checkpoints, offline
from steps.train.ultralytics.config import Wanted
from steps.train.ultralytics.failure import Failure


class Trainer(DetectionTrainer):
    """A DetectionTrainer whose whole state at the end of an epoch can be saved and put back.

    Unlike its parent it seeds every epoch by its number, keeps full precision in `last.pt`, chooses `best.pt` by the
    job's primary metric, and lets a lost loss or a full GPU end the run instead of halving or rewinding in silence.
    """

    def __init__(
        self,
        wanted: Wanted,
        *,
        device: str,
        data_file: Path,
        classes: tuple[str, ...],
        run_dir: Path,
        weights: Path | None,
        resume: checkpoints.Progress | None,
        on_saved: Callable[[Trainer, bool], None],
    ) -> None:
        self.wanted, self.classes, self.resumed, self.on_saved = wanted, classes, resume, on_saved
        self.epoch_metrics: dict[str, float] = {}
        self.best_epoch, self.best_metrics = 0, {}
        self.improved = False
        self.seconds_before = 0.0
        self.last_step, self.batch_index = -1, -1
        self.gradients: list[torch.Tensor | None] | None = None
        super().__init__(
            overrides={
                **wanted.advanced,
                "task": "detect",
                "mode": "train",
                "model": str(weights) if weights else f"{wanted.model}.yaml",
                "pretrained": weights is not None,
                "data": str(data_file),
                "epochs": wanted.epochs,
                "batch": wanted.batch,
                "imgsz": wanted.image_size,
                "lr0": wanted.learning_rate,
                "optimizer": wanted.optimizer,
                "seed": wanted.seed,
                "device": device,
                "workers": wanted.advanced.get("workers", min(8, offline.threads())),
                "plots": wanted.advanced.get("plots", False),
                "exist_ok": True,
                "save_dir": str(run_dir),
            }
        )
        self.wdir.rmdir()
        self.wdir, self.last, self.best = run_dir, run_dir / "last.pt", run_dir / "best.pt"
        self.add_callback("on_train_epoch_start", Trainer._start_epoch)
        self.add_callback("on_train_batch_start", Trainer._start_batch)
        torch.set_num_threads(offline.threads())  # choosing a device may have changed it

    # --- an epoch is a function of its number and of the state before it

    def _start_epoch(self) -> None:
        seed = (self.wanted.seed * 1_000_003 + self.epoch + 1) % 2**32
        self.batch_index = -1
        self._oom_retries = 3  # as if they were used up: no silent halving of the batch
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        # Worker processes outlive epochs and read ahead; starting them anew each time would starve a GPU.
        if self.train_loader.num_workers == 0 or self.epoch == self.start_epoch:
            self.train_loader.generator.manual_seed(seed)
            self.train_loader.reset()
        if self.gradients is not None:
            for parameter, gradient in zip(unwrap_model(self.model).parameters(), self.gradients, strict=True):
                parameter.grad = gradient
            self.gradients = None

    def _start_batch(self) -> None:
        self.batch_index += 1

    @property
    def step_number(self) -> int:
        """The number of the current batch since the start of the job, from 0."""
        return self.batch_index + len(self.train_loader) * self.epoch

    @property
    def gradients_pending(self) -> bool:
        """Whether batches have been seen since the last step of the optimizer."""
        return self.step_number > self.last_step

    def _build_train_pipeline(self) -> None:
        super()._build_train_pipeline()
        # The loop keeps its place within an accumulation window in a local variable, where no checkpoint reaches:
        # it is told to step at every batch, and optimizer_step() decides.
        self.window, self.accumulate = self.accumulate, 1

    def optimizer_step(self) -> None:
        """Step the optimizer when the accumulation window is full."""
        step, warmup, window = self.step_number, self._get_warmup_iterations(len(self.train_loader)), self.window
        if warmup and step <= warmup:
            window = max(1, int(np.interp(step, [0, warmup], [1, window]).round()))
        if step - self.last_step >= window:
            super().optimizer_step()
            self.last_step = step

    def resume_training(self, ckpt: Mapping[str, Any] | None) -> None:
        """Put back the state of the job's own last checkpoint, if it has one."""
        del ckpt  # of the pretrained weights, which are not resumed from
        if self.resumed is None:
            return
        checkpoints.restore(self, self.resumed.content)
        self.best_epoch, self.best_metrics = self.resumed.best_epoch, dict(self.resumed.best_metrics)
        self.seconds_before = self.resumed.seconds
        if checkpoints.best_epoch(self.best) is None:
            self.best_fitness = None  # its file is lost: the next epoch is the best there is

    # --- what an epoch was worth

    def validate(self) -> tuple[dict[str, float], float]:
        """Validate, and judge the epoch by the job's primary metric."""
        before = self.best_fitness
        metrics, _ = super().validate()
        self.epoch_metrics = flat({**self.label_loss_items(self.tloss), **metrics, **self.lr})
        if self.wanted.primary.name not in self.epoch_metrics:
            known = ", ".join(sorted(self.epoch_metrics))
            raise Failure(
                "CONFIG_ERROR", f"{self.wanted.model} has no metric {self.wanted.primary.name}; it has {known}"
            )
        fitness = self.wanted.primary.score(self.epoch_metrics)
        if not np.isfinite(fitness):
            raise diverged(f"{self.wanted.primary.name} of epoch {self.epoch + 1}", self.wanted)
        self.improved = before is None or fitness >= before  # of two equals the one trained longer
        self.best_fitness = fitness if self.improved else before
        if self.improved:
            self.best_epoch, self.best_metrics = self.epoch + 1, self.epoch_metrics
        return metrics, fitness

    def save_model(self) -> bool:
        """Write `best.pt` when this epoch is the best, then `last.pt`, each in one step."""
        if self.improved:
            checkpoints.save(
                checkpoints.best(self, {"epoch": self.epoch + 1, "metrics": self.epoch_metrics}), self.best
            )
        progress = {
            "metrics": self.epoch_metrics,
            "epoch_seconds": round(time.time() - self.epoch_time_start, 3),
            "best_epoch": self.best_epoch,
            "best_metrics": self.best_metrics,
            "finished": bool(self.stop),
            "seconds": self.seconds,
            "model_name": self.wanted.model,
            "classes": list(self.classes),
        }
        checkpoints.save(checkpoints.last(self, progress), self.last)
        self.on_saved(self, self.improved)
        return True

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those before a resume included."""
        return self.seconds_before + time.time() - self.train_time_start

    def final_eval(self) -> None:
        """Do nothing: `best.pt` is already stripped, and its metrics are those of its epoch."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        return False  # a lost loss has already ended the run


def flat(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the framework's metrics under the platform's names: metrics/mAP50(B) becomes val/mAP50."""
    named = {re.sub(r"^metrics/(.*)\(B\)$", r"val/\1", key): float(value) for key, value in metrics.items()}
    lr = named.get("lr/pg0")
    named = {key: value for key, value in named.items() if not key.startswith("lr/")}
    return named if lr is None else {**named, "lr": lr}


def diverged(what: str, wanted: Wanted) -> Failure:
    """Return the failure of a run whose numbers are no longer numbers."""
    return Failure(
        "VALIDATION_ERROR",
        f"training diverged: {what} is not finite; lower learning_rate (now {wanted.learning_rate:g}), "
        f"e.g. to {wanted.learning_rate / 10:g}",
        detail="diverged",
    )
