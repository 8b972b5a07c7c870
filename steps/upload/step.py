"""The upload step in a pipeline: uploads what storage lacks or holds differently, and names the checkpoint."""

import contextlib
import hashlib
import mimetypes
from pathlib import Path
from urllib.parse import quote, unquote

from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK, sha256
from steps.upload.outputs import checkpoint_kind, exported, sort_outputs

WANTED = ("best", "last")


def run_step(sdk: TrainerSDK, *, require_checkpoint: bool) -> int:
    """Uploads the run folder; raises CHECKPOINT_ERROR when there is no checkpoint and one is required."""
    outputs = sort_outputs(Path(sdk.run_dir))
    uploaded: dict[str, str] = {}
    for kind, path in outputs.checkpoints.items():
        if not _stands(sdk, path, f"{sdk.checkpoints_uri}{kind}{path.suffix}"):
            uploaded[kind] = sdk.upload_checkpoint(path, kind)
    for name, path in outputs.companions.items():
        _put(sdk, path, sdk.checkpoints_uri + name)
    lost = 0
    for name, path in outputs.logs.items():
        try:
            _put(sdk, path, sdk.logs_uri + _escaped(sdk.logs_uri, name))
        except TrainerError as error:
            # Weights are what a training is for: a lost plot does not fail it.
            lost += 1
            sdk.log("WARNING", f"{name} was not uploaded: {error}")
    if lost:
        sdk.event("upload_incomplete", f"{lost} log files were not uploaded", "warning", {"files": lost})
    _offer_weights(sdk)
    return _close(sdk, stored_checkpoints(sdk) | uploaded, required=require_checkpoint)


def _offer_weights(sdk: TrainerSDK) -> None:
    """Keeps pretrained weights that the trainer got by itself, where storage has none: the next job finds them."""
    uri = sdk.pretrained_uri
    path = Path(sdk.work_dir, "weights", unquote(uri.rpartition("/")[2]))
    if not uri or not path.is_file():
        return
    try:
        if sdk.storage.exists(uri):
            return
        sdk.storage.upload(path, uri)
    except TrainerError as error:
        sdk.log("WARNING", f"the pretrained weights {path.name} were not kept: {error}")
    else:
        sdk.event("pretrained_kept", f"{path.name} is kept at {uri} for later jobs", data={"uri": uri})


def stored_checkpoints(sdk: TrainerSDK) -> dict[str, str]:
    """Gives the checkpoints that lie in storage, kind to URI."""
    found: dict[str, str] = {}
    listed = sdk.storage.list(sdk.checkpoints_uri) if sdk.checkpoints_uri else ()
    for name, size in sorted(listed, key=lambda item: (exported(item[0]), item)):
        kind = checkpoint_kind(name)
        if kind and size:
            found.setdefault(kind, sdk.checkpoints_uri + name)
    return found


def _close(sdk: TrainerSDK, stored: dict[str, str], *, required: bool) -> int:
    if not stored:
        message = (
            f"the trainer left no checkpoint: neither {sdk.run_dir}/best.* or last.* nor anything at "
            f"{sdk.checkpoints_uri or 'CHECKPOINTS_URI, which is not set'}; save one, or call upload_checkpoint"
        )
        if required:
            raise TrainerError(ErrorType.CHECKPOINT_ERROR, message)
        sdk.log("WARNING", message)
        sdk.event("checkpoint_missing", message, "warning")
        sdk.set_output("upload", "checkpoint_uri", "")
        return 0
    kind = next((kind for kind in WANTED if kind in stored), "") or max(stored, key=lambda kind: int(kind[6:]))
    sdk.log("INFO", f"checkpoints in storage: {', '.join(f'{kind} {uri}' for kind, uri in stored.items())}")
    sdk.set_output("upload", "checkpoint_uri", stored[kind])
    return 0


def _put(sdk: TrainerSDK, path: Path, uri: str) -> None:
    if uri.startswith(("file://", "s3://")) and not _stands(sdk, path, uri):
        sdk.storage.upload(path, uri, mimetypes.guess_type(path.name)[0])


def _stands(sdk: TrainerSDK, path: Path, uri: str) -> bool:
    stored = sdk.storage.stat(uri) if "://" in uri else None
    if stored is None or stored["size"] != path.stat().st_size:
        return False
    return (stored["sha256"] or _read_back(sdk, uri)) == sha256(path)


def _read_back(sdk: TrainerSDK, uri: str) -> str:
    # A storage that keeps no metadata does not know the hash: reading costs less than a needless second upload.
    digest = hashlib.sha256()
    with contextlib.closing(sdk.storage.open(uri)) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _escaped(root: str, name: str) -> str:
    return quote(name) if root.startswith("file:") else name
