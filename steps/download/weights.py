"""Pretrained weights: from storage where they lie, else from the place that a job may ask, and then kept in storage."""

import contextlib
import http.client
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from steps.download.fetch import need_room
from steps.download.source import BLOCK, broken, write_whole
from steps.trainer_sdk import TrainerError, TrainerSDK

SECONDS = 20.0  # of silence


def fetch_weights(sdk: TrainerSDK, folder: Path) -> None:
    """Puts the model's weights into `folder`; without any, training starts from random ones, and the log says so."""
    uri = sdk.pretrained_uri
    name = unquote(uri.rpartition("/")[2]) if uri.startswith("file:") else uri.rpartition("/")[2]
    target = folder / name
    if _from_storage(sdk, uri, target):
        sdk.log("INFO", f"pretrained weights: {name}, {target.stat().st_size / 1e6:.1f} MB from {uri}")
        return
    place = sdk.environ.get("PRETRAINED_SOURCE") or ""
    cure = f"to start from pretrained weights, upload {name} to {uri}"
    if not place:
        sdk.log("WARNING", f"no pretrained weights at {uri}: training starts from random weights; {cure}")
        return
    try:
        _from_network(place, target)
    except (TrainerError, OSError, http.client.HTTPException, ValueError) as error:
        if getattr(error, "detail", None) == "disk_full":
            raise
        why = getattr(error, "reason", None) or error
        message = (
            f"no pretrained weights at {uri}, and {place} cannot be fetched ({why}): training starts from random ones"
        )
        sdk.log("WARNING", f"{message}; {cure}")
        sdk.event("pretrained_missing", message, "warning", {"uri": uri, "source": place})
        return
    size = target.stat().st_size
    sdk.log("INFO", f"pretrained weights: {name}, {size / 1e6:.1f} MB from {place}; kept at {uri} for later jobs")
    try:
        sdk.storage.upload(target, uri)
    except TrainerError as error:
        sdk.log("WARNING", f"the pretrained weights were not kept, the next job fetches them again: {error}")


def _from_storage(sdk: TrainerSDK, uri: str, target: Path) -> bool:
    if uri.startswith("s3://"):
        from steps.download.bucket import Bucket

        bucket = Bucket.of_object(uri, storage=sdk.storage)
        if bucket is None:
            return False
        name = uri.rpartition("/")[2]
        if not (
            target.is_file() and target.stat().st_size == bucket.sizes()[name] and bucket.stands(name, str(target))
        ):
            need_room(target.parent, bucket.sizes()[name])
            bucket.fetch(name, str(target))
        return True
    path = Path(unquote(uri.removeprefix("file://")))
    if not path.is_file():
        return False
    need_room(target.parent, path.stat().st_size)
    with open(path, "rb") as source:
        write_whole(str(target), iter(lambda: source.read(BLOCK), b""))
    return True


def _from_network(place: str, target: Path) -> None:
    if not place.startswith(("https://", "http://")):
        raise ValueError("PRETRAINED_SOURCE must be an https:// address")
    target.parent.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(place, timeout=SECONDS) as answer:
        declared = int(answer.headers.get("Content-Length") or 0)
        need_room(target.parent, declared)
        write_whole(str(target), _whole(answer, declared, place))


def _whole(answer: http.client.HTTPResponse, declared: int, place: str) -> Iterator[bytes]:
    got = 0
    with contextlib.closing(answer):
        while block := answer.read(BLOCK):
            got += len(block)
            yield block
    if declared and got != declared:
        raise broken(f"{place}: {got} of {declared} bytes came")
