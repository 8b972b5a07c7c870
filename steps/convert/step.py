"""The convert step in a pipeline: reads the job's environment, converts, verifies the snapshot, tells what was made."""

import errno
import json
import tempfile
from pathlib import Path
from typing import Any

from steps.convert.convert import Conversion, convert, refusal_text
from steps.convert.problems import DatasetRefused
from steps.convert.tasks import UnknownTask, canonical_task
from steps.convert.version import what_changed
from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK

SHOWN_WARNINGS = 50
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def run_step(sdk: TrainerSDK, *, target: str) -> int:
    """Converts `WORK_DIR`/dataset; raises TrainerError with the type that the record shall carry."""
    work_dir = Path(sdk.work_dir)
    try:
        task = canonical_task(sdk.task_type or "object_detection")
    except UnknownTask as error:
        raise TrainerError(ErrorType.CONFIG_ERROR, f"TASK_TYPE: {error}") from None
    root = work_dir / "dataset"
    if not root.is_dir():
        message = f"{root} does not exist: the download step has not run in this workspace"
        raise TrainerError(ErrorType.DATASET_ERROR, message)
    split = sdk.get_basic_config()["split_config"] or None
    try:
        made = convert(root, work_dir=work_dir, target=target, task=task, split=split, dataset_id=sdk.dataset_id)
    except DatasetRefused as refusal:
        text = refusal_text(refusal, report=work_dir / "conversion.json")
        raise TrainerError(ErrorType.DATASET_ERROR, text) from None
    except OSError as error:
        if error.errno in FULL:
            message = f"disk full while converting into {work_dir}: free space there, or give the job a larger volume"
            raise TrainerError(ErrorType.RESOURCE_ERROR, message, detail="disk_full") from None
        raise
    _verify(sdk, made)
    _keep(sdk, made)
    _tell(sdk, made)
    return 0


def _tell(sdk: TrainerSDK, made: Conversion) -> None:
    report, snapshot = made.inspection.report(), made.snapshot
    for warning in made.inspection.problems[:SHOWN_WARNINGS]:
        sdk.log("WARNING", warning.line())
    sizes = {part: len(ids) for part, ids in snapshot["split"].items()}
    message = (
        f"{len(snapshot['classes'])} classes, {sizes['train']} train, {sizes['val']} val, {sizes['test']} test images"
    )
    conversion = {
        "counts": {"in": report["counts"], "out": made.written},
        "split": report["split"],
        "warnings": report["warnings"][:SHOWN_WARNINGS],
    }
    sdk.log("INFO", f"{snapshot['snapshot_id']} ({report['layout']}): {message}")
    sdk.event("dataset_converted", message, data={"snapshot": snapshot, "conversion": conversion})
    sdk.set_output("convert", "classes", str(len(snapshot["classes"])))
    sdk.set_output("convert", "images_train", str(sizes["train"]))
    sdk.set_output("convert", "images_val", str(sizes["val"]))
    sdk.set_output("convert", "snapshot_id", snapshot["snapshot_id"])


def _verify(sdk: TrainerSDK, made: Conversion) -> None:
    """Refuses a dataset that is not the one the job was made for, saying what changed as far as it is known."""
    now = made.snapshot
    other_hash = sdk.dataset_version_hash and sdk.dataset_version_hash != now["dataset_version_hash"]
    if not other_hash and (not sdk.snapshot_id or sdk.snapshot_id == now["snapshot_id"]):
        return
    before = _earlier(sdk, "manifest.json")
    told = what_changed(before, made.inspection.manifest) if before else []
    if not told and not other_hash:
        told = _other_snapshot(_earlier(sdk, "snapshot.json"), now)
    if other_hash:
        expected, found = sdk.dataset_version_hash, now["dataset_version_hash"]
        what = f"version {expected[:17]}… was expected, {found[:17]}… found"
    else:
        what = f"snapshot {sdk.snapshot_id} was expected, {now['snapshot_id']} found"
    images, labels = now["counts"]["images"], now["counts"]["annotations"]
    details = "; ".join(told) or f"it has {images} images and {labels} annotations now"
    cure = "restore the dataset, or start a new job on it as it is"
    raise TrainerError(ErrorType.DATASET_ERROR, f"the dataset has changed: {what}; {details}; {cure}")


def _other_snapshot(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    words = {"dataset_version_hash": "its content", "classes": "the class list", "split": "the split"}
    return [f"{word} differs" for key, word in words.items() if before and before.get(key) != now[key]]


def _earlier(sdk: TrainerSDK, name: str) -> dict[str, Any]:
    """Reads what an earlier attempt of the job left at LOGS_URI; empty where there is nothing."""
    if not sdk.logs_uri:
        return {}
    try:
        if sdk.storage.stat(sdk.logs_uri + name) is None:
            return {}
        with sdk.storage.open(sdk.logs_uri + name) as stream:
            value = json.loads(stream.read())
    except (TrainerError, ValueError, OSError) as error:
        sdk.log("WARNING", f"{sdk.logs_uri}{name} cannot be read, so what changed cannot be told: {error}")
        return {}
    return value if isinstance(value, dict) else {}


def _keep(sdk: TrainerSDK, made: Conversion) -> None:
    """Leaves snapshot and manifest at LOGS_URI for later attempts; without them less can be told, nothing more."""
    if not sdk.logs_uri:
        return
    with tempfile.TemporaryDirectory(dir=sdk.work_dir) as folder:
        path = Path(folder, "manifest.json")
        path.write_text(json.dumps(made.inspection.manifest, ensure_ascii=False), encoding="utf-8")
        for source in (Path(sdk.work_dir, "snapshot.json"), path):
            try:
                sdk.storage.upload(source, sdk.logs_uri + source.name, "application/json")
            except TrainerError as error:
                sdk.log("WARNING", f"{source.name} was not kept: {error}")
