"""Keeps the record of every snapshot in storage, once and for ever, and reads it back for a job that names it."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steps.convert.version import snapshot_id
from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK

CONTENT = ("dataset_version_hash", "classes", "split", "counts")  # what the id is made of
NAME = re.compile(r"snap_[0-9a-f]{12}")


def record_of(sdk: TrainerSDK) -> dict[str, Any]:
    """Gives the record of the snapshot that the job names, empty where there is none.

    Raises TrainerError where the name is none, or the record is not what its id says.
    """
    name = sdk.snapshot_id
    if not name:
        return {}
    if not NAME.fullmatch(name):
        raise TrainerError(
            ErrorType.CONFIG_ERROR, f"SNAPSHOT_ID {name!r} is no snapshot: write snap_ and 12 hex digits"
        )
    place = _place(sdk)
    record = read_json(sdk, f"{place}{name}/snapshot.json") if place else {}
    if record:
        if _id(record) != name:
            message = f"the record of {name} at {place}{name}/snapshot.json was altered: its content has another id"
            raise TrainerError(ErrorType.DATASET_ERROR, f"{message}; restore it, or start a new job")
        return record
    kept = read_json(sdk, f"{sdk.logs_uri}snapshot.json")  # what an earlier attempt of this job left
    return kept if kept.get("snapshot_id") == name and _id(kept) == name else {}


def wanted_split(record: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a snapshot's split as a job asks for it: each image by its id."""
    parts = record["split"]
    return {"method": "manual", "splits": {id_: part for part, ids in parts.items() for id_ in ids}}


def manifest_of(sdk: TrainerSDK) -> dict[str, Any]:
    """Gives the manifest of the job's snapshot, or of its earlier attempt; empty where there is none."""
    place = _place(sdk)
    if place and sdk.snapshot_id:
        found = read_json(sdk, f"{place}{sdk.snapshot_id}/manifest.json")
        if found:
            return found
    return read_json(sdk, f"{sdk.logs_uri}manifest.json")


def keep(sdk: TrainerSDK, snapshot: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Leaves snapshot and manifest in storage; a record that stands there is never overwritten.

    What storage refuses is told: without a record less can be said later of what changed.
    """
    place = _place(sdk)
    if place:
        folder = f"{place}{snapshot['snapshot_id']}/"
        there = read_json(sdk, f"{folder}snapshot.json")
        if there and {key: there.get(key) for key in CONTENT} != {key: snapshot[key] for key in CONTENT}:
            message = f"another snapshot stands at {folder}: the record was altered; restore it, or remove it"
            raise TrainerError(ErrorType.DATASET_ERROR, message)
        # The manifest goes first: where the record stands, what it was made of stands too.
        _put(sdk, folder, {"manifest.json": manifest, "snapshot.json": snapshot}, skip=bool(there))
    _put(sdk, sdk.logs_uri, {"snapshot.json": snapshot, "manifest.json": manifest})


def read_json(sdk: TrainerSDK, uri: str) -> dict[str, Any]:
    """Reads an object of storage; empty where it is not there or no JSON object."""
    try:
        if not sdk.storage.exists(uri):
            return {}
        with sdk.storage.open(uri) as stream:
            value = json.loads(stream.read())
    except (ValueError, OSError) as error:
        sdk.log("WARNING", f"{uri} cannot be read and is passed over: {error}")
        return {}
    except TrainerError as error:
        if error.exit_code == 75:
            raise
        sdk.log("WARNING", f"{uri} cannot be read and is passed over: {error}")
        return {}
    return value if isinstance(value, dict) else {}


def _put(sdk: TrainerSDK, folder: str, files: Mapping[str, Mapping[str, Any]], *, skip: bool = False) -> None:
    if skip:
        return
    with tempfile.TemporaryDirectory(dir=sdk.work_dir) as scratch:
        for name, value in files.items():
            path = Path(scratch, name)
            text = json.dumps(value, ensure_ascii=False, sort_keys=False)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
            try:
                sdk.storage.upload(path, folder + name, "application/json")
            except TrainerError as error:
                sdk.log("WARNING", f"{folder}{name} was not kept: {error}")
                return


def _place(sdk: TrainerSDK) -> str:
    return str(sdk.environ.get("SNAPSHOTS_URI") or "")


def _id(record: Mapping[str, Any]) -> str:
    try:
        return snapshot_id({key: record[key] for key in CONTENT})
    except (KeyError, TypeError):
        return ""
