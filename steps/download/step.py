"""The download step in a pipeline: finds the dataset, fetches what is needed, tells how much came."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import unquote

from steps.download.archive import Archive
from steps.download.bucket import Bucket, fetch_object
from steps.download.folder import Folder
from steps.download.plan import NAMED, Item, Plan, make_plan
from steps.download.source import Source, disk_full, refused
from steps.trainer_sdk import ErrorType, Storage, TrainerError, TrainerSDK

THREADS = 16
SCRATCH = ".dataset.zip"  # kept until all is unpacked, so that a second try need not fetch it again
RESERVE = 64 << 20  # bytes of the disk that are left to others


def run_step(sdk: TrainerSDK) -> int:
    """Fetches DATASET_S3_URI into WORK_DIR/dataset; raises TrainerError with the type that the record shall carry."""
    uri, work_dir = sdk.dataset_s3_uri, Path(sdk.work_dir)
    if not uri:
        message = "DATASET_S3_URI is not set: it names the dataset's prefix (ending in /) or its .zip"
        raise TrainerError(ErrorType.CONFIG_ERROR, message)
    sdk.event("dataset_download_started", f"fetching {uri}", data={"uri": uri})
    with open_source(uri, storage=sdk.storage, scratch=work_dir) as (source, prefix):
        plan = make_plan(source, prefix=prefix)
        fetched = fetch(plan, folder=work_dir / "dataset", progress=sdk.set_progress)
    _fetch_weights(sdk, work_dir / "weights")
    counts = {
        "images": len(plan.images),
        "documents": len(plan.documents),
        "bytes": plan.size,
        "fetched": fetched,
        "missing": len(plan.missing),
    }
    message = f"{counts['images']} images, {counts['documents']} documents, {plan.size / 1e6:.1f} MB from {source.uri}"
    sdk.log("INFO", f"{message}; {fetched} files fetched, the rest was there")
    if plan.missing:
        few = ", ".join(plan.missing[:NAMED]) + (", …" if len(plan.missing) > NAMED else "")
        sdk.log("WARNING", f"{len(plan.missing)} images are named but not in {source.uri}: {few}")
    sdk.event("dataset_loaded", message, data={"uri": source.uri, **counts})
    sdk.set_output("download", "images", str(len(plan.images)))
    sdk.set_output("download", "bytes", str(plan.size))
    return 0


@contextlib.contextmanager
def open_source(uri: str, *, storage: Storage, scratch: Path) -> Iterator[tuple[Source, str]]:
    """Opens a dataset and gives its own key prefix; a prefix also finds the zip beside it, and the other way round."""
    base = uri.removesuffix(".zip").rstrip("/")
    candidates = [f"{base}.zip", f"{base}/"] if uri.endswith(".zip") else [f"{base}/", f"{base}.zip"]
    for candidate in candidates:
        found = _open(candidate, storage=storage, scratch=scratch)
        if found is None:
            continue
        try:
            if found.sizes():
                yield found, candidate.removeprefix("s3://").partition("/")[2] if candidate.endswith("/") else ""
                (scratch / SCRATCH).unlink(missing_ok=True)
                return
        finally:
            if isinstance(found, Archive):
                found.close()
    message = f"the dataset is not at {uri} (nor at {candidates[1]}): it was moved, deleted or never uploaded"
    raise refused(f"{message}; upload it again, or register its new place")


def _open(uri: str, *, storage: Storage, scratch: Path) -> Source | None:
    if uri.startswith("file://"):
        path = Path(unquote(uri.removeprefix("file://")))
        if uri.endswith(".zip"):
            return Archive(path, uri=uri) if path.is_file() else None
        return Folder(path, uri=uri) if path.is_dir() else None
    if not uri.endswith(".zip"):
        return Bucket(uri, storage=storage)
    stored = storage.stat(uri)
    if stored is None:
        return None
    path = scratch / SCRATCH
    if not path.is_file() or path.stat().st_size != stored["size"]:
        _need_room(scratch, stored["size"])
        fetch_object(storage, uri, path, size=stored["size"])
    return Archive(path, uri=uri)


def fetch(plan: Plan, *, folder: Path, progress: Callable[[int, int], None]) -> int:
    """Puts every planned file into `folder`, documents first; gives how many had to be moved."""
    folder.mkdir(parents=True, exist_ok=True)
    absent = [item for item in (*plan.documents, *plan.images) if not (folder / item.place).exists()]
    _need_room(folder, sum(item.size for item in absent if item.source.copies))
    for item in plan.documents:
        # Documents are small and decide everything: they are never taken over from an earlier try.
        (folder / item.place).unlink(missing_ok=True)
        item.source.fetch(item.name, folder / item.place)
    moved, total = len(plan.documents), len(plan.images)
    for parent in {(folder / item.place).parent for item in plan.images}:
        parent.mkdir(parents=True, exist_ok=True)

    def one(item: Item) -> bool:
        return item.source.fetch(item.name, folder / item.place)

    with ThreadPoolExecutor(THREADS) as pool:
        jobs = [pool.submit(one, item) for item in plan.images]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                moved += job.result()
                if done % 100 == 0 or done == total:
                    progress(done, total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return moved


def _need_room(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size and size + RESERVE > free:
        error = disk_full(folder)
        wanted = f"{size / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free"
        raise TrainerError(error.error_type, f"{error} ({wanted})", detail=error.detail)


def _fetch_weights(sdk: TrainerSDK, folder: Path) -> None:
    uri = sdk.pretrained_uri
    if not uri:
        return
    name = unquote(uri.rpartition("/")[2])
    stored = sdk.storage.stat(uri)
    if stored is None:
        sdk.log("INFO", f"no pretrained weights at {uri}: training starts from scratch")
        return
    target = folder / name
    if not target.is_file() or target.stat().st_size != stored["size"]:
        _need_room(folder, stored["size"])
        fetch_object(sdk.storage, uri, target, size=stored["size"])
    sdk.log("INFO", f"pretrained weights: {name}, {stored['size'] / 1e6:.1f} MB from {uri}")
