"""What the platform hears while the framework trains, and where a stop or a lost loss takes effect."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from steps.train.ultralytics.config import Wanted
from steps.train.ultralytics.tracking import Tracker
from steps.train.ultralytics.train import Trainer, diverged
from steps.trainer_sdk import TrainerSDK

BEAT = 1.0  # seconds at least between two heartbeats within an epoch


class Stopped(Exception):
    """The platform, or a SIGTERM, asked to stop; the last full epoch is saved."""


class Hooks:
    """The framework's callbacks, turned into heartbeats, events and uploads of one job."""

    def __init__(
        self,
        sdk: TrainerSDK,
        wanted: Wanted,
        *,
        tracker: Tracker | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sdk, self._wanted, self._tracker, self._clock = sdk, wanted, tracker, clock
        self._beaten = clock()
        self.started = False
        self.epochs_done = 0

    def attach(self, trainer: Trainer) -> None:
        """Register with a trainer; its validator shares the callbacks."""
        trainer.add_callback("on_pretrain_routine_end", self._initialized)
        trainer.add_callback("on_train_start", self._started)
        trainer.add_callback("on_train_batch_end", self._batch)
        trainer.add_callback("on_val_batch_end", lambda _: self.check())
        trainer.add_callback("on_fit_epoch_end", self._epoch)

    def check(self) -> None:
        """Raise Stopped when the job is to end."""
        if not self._sdk.should_continue:
            raise Stopped

    def saved(self, trainer: Trainer, improved: bool) -> None:
        """Hand the checkpoints of an epoch to the upload, which copies them aside and goes on by itself."""
        self.epochs_done = trainer.epoch + 1
        if improved:
            self._sdk.upload_async(trainer.best, "best", trainer.best_metrics, trainer.best_epoch)
        self._sdk.upload_async(trainer.last, "last", trainer.epoch_metrics, self.epochs_done)

    def _initialized(self, trainer: Trainer) -> None:
        parameters = sum(p.numel() for p in trainer.model.parameters())
        source = str(trainer.args.model)
        pretrained = source.endswith(".pt")
        start = f"pretrained weights {source}" if pretrained else "random weights"
        if trainer.resumed:
            start = f"the checkpoint of epoch {trainer.resumed.epoch}"
            self.epochs_done = trainer.resumed.epoch
        self._sdk.event(
            "model_initialized",
            f"{self._wanted.model}, {parameters / 1e6:.2f} M parameters, from {start}",
            data={
                "model": self._wanted.model,
                "parameters": parameters,
                "pretrained": pretrained,
                "resumed_from_epoch": trainer.resumed.epoch if trainer.resumed else None,
                "device": str(trainer.device),
                "threads": torch.get_num_threads(),
            },
        )
        if trainer.args.imgsz != self._wanted.image_size:
            message = f"image_size {self._wanted.image_size} is no multiple of 32; {trainer.args.imgsz} is used"
            self._sdk.event("image_size_rounded", message, "warning")
        if self._wanted.optimizer == "auto":
            message = (
                f"optimizer auto chose {trainer.args.optimizer} with learning rate {trainer.args.lr0:g}; "
                f"learning_rate {self._wanted.learning_rate:g} is not used"
            )
            self._sdk.event("learning_rate_replaced", message, "warning")

    def _started(self, trainer: Trainer) -> None:
        self.started = True
        self.check()
        self._sdk.report_started("training", trainer.epochs)
        if trainer.resumed:
            # The process before may have died between saving this epoch and telling of it.
            metrics = {**trainer.resumed.metrics, "epoch_seconds": trainer.resumed.epoch_seconds}
            self._tell(trainer.resumed.epoch, trainer.epochs, metrics)

    def _batch(self, trainer: Trainer) -> None:
        if not torch.isfinite(trainer.loss):
            raise diverged(f"the loss in epoch {trainer.epoch + 1}, batch {trainer.batch_index + 1}", self._wanted)
        self.check()
        now = self._clock()
        if now - self._beaten < BEAT:
            return
        self._beaten = now
        batches = len(trainer.train_loader)
        done = trainer.step_number + 1
        self._sdk.heartbeat(
            epoch=trainer.epoch + 1,
            total_epochs=trainer.epochs,
            step=trainer.batch_index + 1,
            total_steps=batches,
            # The SDK would count the epoch under way as done, here and in the file of the workflow's executor.
            progress=round(100 * done / (batches * trainer.epochs), 2),
            metrics={f"train/{name}": float(value) for name, value in trainer.tloss.items()},
        )
        self._sdk.set_progress(done, batches * trainer.epochs)

    def _epoch(self, trainer: Trainer) -> None:
        if trainer.epoch + 1 != self.epochs_done:
            return  # the framework calls once more after its end
        metrics = {**trainer.epoch_metrics, "epoch_seconds": round(trainer.epoch_time, 3)}
        if trainer.device.type == "cuda":
            metrics["gpu_mem_mb"] = round(torch.cuda.max_memory_reserved(trainer.device) / 2**20, 1)
        self._tell(self.epochs_done, trainer.epochs, metrics)
        self._beaten = self._clock()
        if not trainer.stop:
            self.check()

    def _tell(self, epoch: int, epochs: int, metrics: dict[str, Any]) -> None:
        self._sdk.report_progress(epoch, epochs, metrics)
        if self._tracker:
            self._tracker.metrics(metrics, epoch=epoch)
