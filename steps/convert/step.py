"""The convert step in a pipeline: reads the job's environment, converts, verifies the snapshot, tells what was made."""

import contextlib
import errno
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from steps.convert import snapshots
from steps.convert.cache import Conversions
from steps.convert.check.inspection import inspect
from steps.convert.convert import Conversion, convert, refusal_text, write_json
from steps.convert.digests import Digests
from steps.convert.problems import DatasetRefused
from steps.convert.tasks import UnknownTask, canonical_task
from steps.convert.version import what_changed
from steps.convert.write.proof import ProofFailed
from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK

SHOWN_WARNINGS = 50
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
CURE = "restore the dataset, or start a new job on it as it is"


def run_step(sdk: TrainerSDK, *, target: str) -> int:
    """Converts `WORK_DIR`/dataset; raises TrainerError with the type that the record shall carry."""
    work_dir, cache_dir = Path(sdk.work_dir), sdk.environ.get("CACHE_DIR") or None
    try:
        task = canonical_task(sdk.task_type or "object_detection")
    except UnknownTask as error:
        raise TrainerError(ErrorType.CONFIG_ERROR, f"TASK_TYPE: {error}") from None
    root = work_dir / "dataset"
    if not root.is_dir():
        where = f"{root} leads to {os.readlink(root)}, which is gone" if root.is_symlink() else f"{root} does not exist"
        message = f"{where}: the download step has not run in this workspace, or its cache is not mounted here"
        raise TrainerError(ErrorType.DATASET_ERROR, message)
    record = snapshots.record_of(sdk)
    # A job that names a snapshot trains on that one's images, whatever a split would make of them today.
    split = snapshots.wanted_split(record) if record else sdk.get_basic_config()["split_config"] or None
    digests = Digests(work_dir, root=root, uri=sdk.dataset_s3_uri, cache_dir=cache_dir)
    conversions = Conversions(Path(cache_dir), root=root, log=sdk.log) if cache_dir else None
    try:
        made = convert(
            root, work_dir=work_dir, target=target, task=task, split=split, dataset_id=sdk.dataset_id,
            digests=digests.known, around=conversions.around if conversions else None,
        )  # fmt: skip
    except DatasetRefused as refusal:
        _tell_change(sdk, root, task=task, digests=digests)
        text = refusal_text(refusal, report=work_dir / "conversion.json")
        raise TrainerError(ErrorType.DATASET_ERROR, text) from None
    except ProofFailed as fault:
        message = f"{fault}; the dataset is not at fault and need not be changed: start the job again after an update"
        raise TrainerError(ErrorType.UNKNOWN_ERROR, message) from None
    except OSError as error:
        if error.errno in FULL:
            message = f"disk full while converting into {work_dir}: free space there, or give the job a larger volume"
            raise TrainerError(ErrorType.RESOURCE_ERROR, message, detail="disk_full") from None
        raise
    _check_cached(root, digests.altered(made.inspection.files))
    _verify(sdk, made, record)
    if record:  # the snapshot is what it was when it was made, also in how its split came about
        made = replace(made, snapshot=record)
        write_json(work_dir / "snapshot.json", record)
    snapshots.keep(sdk, made.snapshot, made.inspection.manifest)
    if cache_dir:
        _note(sdk, Path(cache_dir), root, digests, made)
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
        "counts": {"in": report["counts"], "out": {key: made.written[key] for key in made.written if key != "proof"}},
        "split": report["split"],
        "warnings": report["warnings"][:SHOWN_WARNINGS],
        "proof": made.written.get("proof"),
    }
    sdk.log("INFO", f"{snapshot['snapshot_id']} ({report['layout']}): {message}")
    sdk.event("dataset_converted", message, data={"snapshot": snapshot, "conversion": conversion})
    sdk.set_output("convert", "classes", str(len(snapshot["classes"])))
    sdk.set_output("convert", "images_train", str(sizes["train"]))
    sdk.set_output("convert", "images_val", str(sizes["val"]))
    sdk.set_output("convert", "snapshot_id", snapshot["snapshot_id"])


def _verify(sdk: TrainerSDK, made: Conversion, record: dict[str, Any]) -> None:
    """Refuses a dataset that is not the one the job was made for, saying what changed as far as it is known."""
    now = made.snapshot
    wanted = sdk.dataset_version_hash or record.get("dataset_version_hash")
    other_hash = wanted and wanted != now["dataset_version_hash"]
    if not other_hash and (not sdk.snapshot_id or sdk.snapshot_id == now["snapshot_id"]):
        return
    before = snapshots.manifest_of(sdk)
    told = what_changed(before, made.inspection.manifest) if before else []
    if not told and not other_hash:
        told = _other_snapshot(record, now)
    if other_hash:
        what = f"version {wanted[:17]}… was expected, {now['dataset_version_hash'][:17]}… found"
    else:
        what = f"snapshot {sdk.snapshot_id} was expected, {now['snapshot_id']} found"
    images, labels = now["counts"]["images"], now["counts"]["annotations"]
    details = "; ".join(told) or f"it has {images} images and {labels} annotations now"
    raise TrainerError(ErrorType.DATASET_ERROR, f"the dataset has changed: {what}; {details}; {CURE}")


def _other_snapshot(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    words = {"dataset_version_hash": "its content", "classes": "the class list", "split": "the split"}
    return [f"{word} differs" for key, word in words.items() if before and before.get(key) != now[key]]


def _tell_change(sdk: TrainerSDK, root: Path, *, task: str, digests: Digests) -> None:
    """Raises what changed, where a dataset that was sound in its snapshot is refused now."""
    before = snapshots.manifest_of(sdk) if sdk.snapshot_id or sdk.dataset_version_hash else {}
    if before:
        told = what_changed(before, inspect(root, task=task, digests=digests.known).manifest)
        if told:
            raise TrainerError(ErrorType.DATASET_ERROR, f"the dataset has changed: {'; '.join(told)}; {CURE}") from None


def _check_cached(root: Path, altered: list[str]) -> None:
    """Gives up a cached dataset that somebody wrote into: what it holds is no longer what was fetched."""
    if not altered:
        return
    if root.is_symlink():
        with contextlib.suppress(OSError):
            (root.resolve().parent / "complete.json").unlink()
    names = ", ".join(altered[:5]) + (", …" if len(altered) > 5 else "")
    message = f"{len(altered)} files were altered after they were fetched: {names}"
    raise TrainerError(ErrorType.DATASET_ERROR, f"{message}; start the job again, they are fetched anew")


def _note(sdk: TrainerSDK, cache_dir: Path, root: Path, digests: Digests, made: Conversion) -> None:
    """Notes which entry of the cache holds this version, so that the next job need not even ask for a listing."""
    try:
        digests.keep(made.inspection.files)
        entry = root.resolve().parent
        if root.is_symlink() and entry.parent == (cache_dir / "fetched").resolve():
            for name in (made.snapshot["dataset_version_hash"], made.snapshot["snapshot_id"]):
                if re.fullmatch(r"[\w:]+", name):
                    part = cache_dir / "versions" / f".{name}.{os.urandom(4).hex()}"
                    part.write_text(entry.name)
                    os.replace(part, cache_dir / "versions" / name)
    except OSError as error:
        sdk.log("WARNING", f"the cache {cache_dir} was not told of this version: {error}")
