"""Checkpoints: `last.pt`, from which a resumed run equals one that never stopped, and `best.pt` to predict with."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from ultralytics import __version__
from ultralytics.utils.torch_utils import unwrap_model

from steps.train.ultralytics.failure import Failure, disk_full

KEY = "tiphys"  # our part of the framework's checkpoint dictionary
VERSION = 1
LICENSE = "AGPL-3.0 (https://ultralytics.com/license)"


class Unusable(Exception):
    """A checkpoint that cannot be resumed from: torn, of another format, or stripped."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is: epochs done, the last epoch's metrics, the best epoch, and whether nothing is left to do."""

    epoch: int
    metrics: Mapping[str, float]
    epoch_seconds: float
    best_epoch: int
    best_metrics: Mapping[str, float]
    finished: bool
    seconds: float
    model: str
    classes: tuple[str, ...]
    content: Mapping[str, Any] = field(repr=False)


def read(path: Path) -> Progress:
    """Load a `last.pt`; raise Unusable with the reason when it is torn or holds no resumable state."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # a torn file surfaces as almost any type, from EOFError to UnpicklingError
        raise Unusable(f"{path} is torn ({type(error).__name__})") from error
    ours = content.get(KEY) if isinstance(content, dict) else None
    if not ours or content.get("epoch", -1) < 0 or content.get("optimizer") is None:
        raise Unusable(f"{path} holds no resumable state")
    if ours["version"] != VERSION:
        raise Unusable(f"{path} was written by another version of this trainer")
    return Progress(
        epoch=content["epoch"] + 1,
        metrics=ours["metrics"],
        epoch_seconds=ours["epoch_seconds"],
        best_epoch=ours["best_epoch"],
        best_metrics=ours["best_metrics"],
        finished=ours["finished"],
        seconds=ours["seconds"],
        model=ours["model_name"],
        classes=tuple(ours["classes"]),
        content=content,
    )


def best_epoch(path: Path) -> int | None:
    """Return the epoch (from 1) that a `best.pt` is of, None where there is none that can be read."""
    try:
        return int(torch.load(path, map_location="cpu", weights_only=False)[KEY]["epoch"])
    except Exception:  # as in read(): any type; without it the next best epoch simply writes a new one
        return None


def last(trainer: Any, progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `last.pt`: the framework's own keys, and in full precision what those keep in half."""
    data = trainer.train_loader.dataset
    live = list(unwrap_model(trainer.model).parameters())
    return {
        **_header(trainer),
        "epoch": trainer.epoch,
        "best_fitness": trainer.best_fitness,
        "stopper": vars(trainer.stopper),
        "model": None,
        "ema": _half(trainer.ema.ema),
        "updates": trainer.ema.updates,
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        KEY: {
            "version": VERSION,
            "model": unwrap_model(trainer.model).state_dict(),
            "ema": trainer.ema.ema.state_dict(),
            # An accumulation window may straddle the end of an epoch.
            "gradients": [p.grad for p in live] if trainer.gradients_pending else None,
            "last_step": trainer.last_step,
            # Mosaic draws its partners from the images that were read last.
            "buffer": list(data.buffer),
            "csv": trainer.csv.read_text(encoding="utf-8"),
            **progress,
        },
    }


def best(trainer: Any, progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `best.pt`: the averaged weights in half precision, ready to predict, nothing to resume."""
    model = _half(trainer.ema.ema)
    model.args = dict(vars(trainer.args))
    for parameter in model.parameters():
        parameter.requires_grad = False
    stripped = dict.fromkeys(("optimizer", "best_fitness", "stopper", "ema", "updates", "scaler"))
    return {**_header(trainer), **stripped, "epoch": -1, "model": model, KEY: dict(progress)}


def restore(trainer: Any, content: Mapping[str, Any]) -> None:
    """Put a freshly set up trainer into the state that `last` captured."""
    ours = content[KEY]
    model = unwrap_model(trainer.model)
    model.load_state_dict(ours["model"])
    trainer.ema.ema.load_state_dict(ours["ema"])
    trainer.ema.updates = content["updates"]
    for saved, group in zip(content["optimizer"]["param_groups"], trainer.optimizer.param_groups, strict=True):
        saved["fused"] = group.get("fused")  # the device of today picks the kernel
    trainer.optimizer.load_state_dict(content["optimizer"])
    trainer.scaler.load_state_dict(content["scaler"])
    trainer.best_fitness = content["best_fitness"]
    trainer.stopper.__dict__.update({k: v for k, v in content["stopper"].items() if k != "patience"})
    trainer.start_epoch = content["epoch"] + 1
    trainer.last_step = ours["last_step"]
    if ours["gradients"] is not None:
        trainer.gradients = [None if g is None else g.to(trainer.device) for g in ours["gradients"]]
    # Heads with two branches shift the weight between their losses once per epoch.
    if getattr(model.model[-1], "one2one_cv2", None) is not None:
        model.criterion = model.init_criterion()
        for _ in range(trainer.start_epoch):
            model.criterion.update()
    trainer.csv.write_text(ours["csv"], encoding="utf-8")
    if trainer.train_loader.num_workers == 0:
        for index in ours["buffer"]:
            trainer.train_loader.dataset.load_image(index)


def save(content: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    publish(path, lambda part: part.write_bytes(buffer.getbuffer()))


def classes(entries: tuple[dict[str, Any], ...], path: Path) -> None:
    """Write `classes.json`, which names what the checkpoint beside it predicts."""
    text = json.dumps({"classes": list(entries)}, ensure_ascii=False, indent=1) + "\n"
    publish(path, lambda part: part.write_text(text, encoding="utf-8"))


def publish(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in place in one step; a failure leaves the old one."""
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
    except OSError as error:
        if failure := disk_full(error, path=path):
            raise failure from error
        if error.errno == errno.EROFS:
            raise Failure("RESOURCE_ERROR", f"{path} cannot be written: the workspace is read-only") from error
        raise
    finally:
        part.unlink(missing_ok=True)


def _header(trainer: Any) -> dict[str, Any]:
    return {
        "train_args": dict(vars(trainer.args)),
        "train_metrics": {**trainer.metrics, "fitness": trainer.fitness},
        "date": datetime.now(UTC).isoformat(),
        "version": __version__,
        "license": LICENSE,
    }


def _half(model: torch.nn.Module) -> torch.nn.Module:
    copy = deepcopy(model).half().to(memory_format=torch.contiguous_format)
    copy.criterion = None
    return copy
