"""One job from its dataset to its report: resume or start, train, draw, upload, tell."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import torch

from steps.train.ultralytics import checkpoints, offline, predict
from steps.train.ultralytics.config import Wanted
from steps.train.ultralytics.data import Dataset
from steps.train.ultralytics.failure import NOT_READY, Failure, explain
from steps.train.ultralytics.hooks import Hooks, Stopped
from steps.train.ultralytics.tracking import Tracker
from steps.train.ultralytics.train import Trainer
from steps.trainer_sdk import TrainerError, TrainerSDK


def run(sdk: TrainerSDK, wanted: Wanted, dataset: Dataset) -> int:
    """Train and report; return the exit code."""
    offline.seal(sdk.log)
    names = tuple(entry["name"] for entry in dataset.classes)
    tracker = _tracker(sdk, wanted)
    hooks = Hooks(sdk, wanted, tracker=tracker)
    outcome = "FAILED"
    try:
        device = _device(wanted.device)
        checkpoints.classes(dataset.classes, sdk.run_dir / "classes.json")
        _keep(sdk, sdk.run_dir / "classes.json", f"{sdk.checkpoints_uri}classes.json")
        resume = _resumable(sdk, wanted, names)
        if resume:
            hooks.epochs_done = resume.epoch
            # The process before may have died before its uploads were through.
            sdk.upload_async(sdk.run_dir / "last.pt", "last", dict(resume.metrics), resume.epoch)
            if (sdk.run_dir / "best.pt").is_file():
                sdk.upload_async(sdk.run_dir / "best.pt", "best", dict(resume.best_metrics), resume.best_epoch)
        hooks.check()
        if resume is None or not (resume.finished or resume.epoch >= wanted.epochs):
            _train(sdk, wanted, dataset, names=names, device=device, resume=resume, hooks=hooks)
        else:
            sdk.event("nothing_to_train", f"all {resume.epoch} epochs are done; the result is told again")
        _finish(sdk, wanted, dataset, names=names, device=device, tracker=tracker)
        outcome = "FINISHED"
        return 0
    except Exception as error:
        # Argo's executor signals the whole process group: the loader's workers die of the SIGTERM that we live through.
        if isinstance(error, Stopped) or (sdk.terminated and not isinstance(error, TrainerError)):
            outcome = "KILLED"
            done = hooks.epochs_done
            sdk.log("WARNING", f"stopped after {done} full epochs; last.pt is of epoch {done}")
            return int(sdk.report_cancelled(total_epochs=done))
        failure = explain(error, batch=wanted.batch, image_size=wanted.image_size, started=hooks.started)
        if failure.exit_code == NOT_READY:
            raise failure from error
        sdk.report_failed(failure.error_type, failure.message, failure.trace, hooks.epochs_done, detail=failure.detail)
        return int(failure.exit_code)
    finally:
        if tracker:
            tracker.close(outcome)


def _tracker(sdk: TrainerSDK, wanted: Wanted) -> Tracker | None:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return None
    project = os.environ.get("PROJECT_ID", "")
    tracker = Tracker(
        uri, project=project, job=sdk.job_id, event=lambda kind, text, level, data: sdk.event(kind, text, level, data)
    )
    values = {k: v for k, v in dataclasses.asdict(wanted).items() if k not in ("advanced", "primary")}
    tracker.parameters({**values, "primary_metric": wanted.primary.name, **wanted.advanced})
    return tracker


def _device(asked: str) -> str:
    if not asked:
        return "0" if torch.cuda.is_available() else "cpu"
    if asked not in ("cpu", "mps") and not torch.cuda.is_available():
        raise Failure(
            "RESOURCE_ERROR",
            f"device {asked} asks for a GPU, but none can be seen; set device to cpu, or give the step a GPU",
            exit_code=NOT_READY,
        )
    return asked


def _resumable(sdk: TrainerSDK, wanted: Wanted, names: tuple[str, ...]) -> checkpoints.Progress | None:
    """Return the state to go on from: the workspace's last.pt, else the storage's when asked or when that is torn."""
    local, stored = sdk.run_dir / "last.pt", f"{sdk.checkpoints_uri}last.pt"
    found, torn = None, False
    if local.exists():
        found, torn = _read(sdk, local)
    if found is None and (torn or sdk.resume):
        if sdk.storage.exists(stored):
            sdk.download_checkpoint(stored, local)
            sdk.log("INFO", f"resuming from {stored}")
            found, _ = _read(sdk, local)
        else:
            sdk.event("nothing_to_resume", f"nothing lies at {stored}; training starts at epoch 1", "warning")
    if found is None:
        return None
    if (found.model, found.classes) != (wanted.model, names):
        raise Failure(
            "CHECKPOINT_ERROR",
            f"{local} is of {found.model} with the classes {', '.join(found.classes)}, the job trains {wanted.model} "
            f"with {', '.join(names)}; start a new job",
        )
    best = sdk.run_dir / "best.pt"
    if checkpoints.best_epoch(best) is None and sdk.storage.exists(f"{sdk.checkpoints_uri}best.pt"):
        sdk.download_checkpoint(f"{sdk.checkpoints_uri}best.pt", best)
    sdk.event("resumed", f"going on after epoch {found.epoch}", data={"epoch": found.epoch})
    return found


def _read(sdk: TrainerSDK, path: Path) -> tuple[checkpoints.Progress | None, bool]:
    try:
        return checkpoints.read(path), False
    except checkpoints.Unusable as error:
        sdk.event("checkpoint_unusable", f"{error}; it is left aside", "warning")
        path.replace(path.with_suffix(".unusable"))
        return None, True


def _train(
    sdk: TrainerSDK,
    wanted: Wanted,
    dataset: Dataset,
    *,
    names: tuple[str, ...],
    device: str,
    resume: checkpoints.Progress | None,
    hooks: Hooks,
) -> None:
    weights = sdk.work_dir / "weights" / f"{wanted.model}.pt"
    use = weights.is_file() and wanted.advanced.get("pretrained", True)
    trainer = Trainer(
        wanted,
        device=device,
        data_file=dataset.yaml_path,
        classes=names,
        run_dir=sdk.run_dir,
        weights=weights if use else None,
        resume=resume,
        on_saved=hooks.saved,
    )
    hooks.attach(trainer)
    trainer.train()


def _finish(
    sdk: TrainerSDK,
    wanted: Wanted,
    dataset: Dataset,
    *,
    names: tuple[str, ...],
    device: str,
    tracker: Tracker | None,
) -> None:
    """Draw, upload and report what the run has come to; the same again when it is repeated."""
    best = sdk.run_dir / "best.pt"
    end = checkpoints.read(sdk.run_dir / "last.pt")
    if checkpoints.best_epoch(best) is None:
        raise Failure("CHECKPOINT_ERROR", f"{best} is lost, and so is its copy in {sdk.checkpoints_uri}; train again")
    picture = sdk.run_dir / "plots" / "predictions.jpg"
    try:
        boxes = predict.draw(
            best, dataset.images["val"], picture, image_size=wanted.image_size, device=device, names=names
        )
        sdk.log("INFO", f"{boxes} predictions drawn in {picture}")
    except (OSError, RuntimeError, ValueError) as error:  # a picture is worth no job
        sdk.event("plot_failed", f"no predictions drawn: {error}", "warning")
    for plot in sorted(sdk.run_dir.glob("*.png")) + sorted(sdk.run_dir.glob("*.jpg")):
        plot.replace(picture.parent / plot.name)
    for plot in sorted(picture.parent.glob("*.[jp][pn]g")):
        _keep(sdk, plot, f"plots/{plot.name}")
    _keep(sdk, sdk.run_dir / "results.csv", "results.csv")
    value = end.best_metrics[wanted.primary.name]
    sdk.set_output("train", "best_metric", value)
    sdk.set_output("train", "epochs", end.epoch)
    sdk.event(
        "training_complete",
        f"{end.epoch} epochs, best {wanted.primary.name} {value:.4g} in epoch {end.best_epoch}",
        data={
            "epochs": end.epoch,
            "best_epoch": end.best_epoch,
            "primary_metric": wanted.primary.name,
            "best_metric": value,
            "training_seconds": round(end.seconds, 1),
        },
    )
    if tracker:
        tracker.close("FINISHED")
    sdk.report_completed(
        dict(end.best_metrics), total_epochs=end.epoch, mlflow_run_id=tracker.run_id if tracker else None
    )


def _keep(sdk: TrainerSDK, path: Path, key: str) -> None:
    """Upload a file that helps but decides nothing; the upload step tries again."""
    try:
        sdk.upload_file(path, key)
    except (OSError, TrainerError) as error:
        sdk.event("upload_failed", f"{path.name}: {error}", "warning")
