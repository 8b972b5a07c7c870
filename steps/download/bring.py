"""Brings a dataset that no cache holds yet: into the cache where there is one, else into the workspace alone."""

import contextlib
from functools import partial
from pathlib import Path
from typing import Any

from steps.download.cache import Cache
from steps.download.cached import fetch_into, give_up
from steps.download.collect import collect
from steps.download.evict import LIMIT, parse_limit
from steps.download.fetch import write_facts
from steps.download.links import DIGESTS, clear, link_entry
from steps.download.place import open_source
from steps.download.plan import NAMED
from steps.download.source import Source
from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK


def bring(sdk: TrainerSDK, cache: Cache | None, work_dir: Path) -> dict[str, Any]:
    """Fetches DATASET_S3_URI; gives what is told of it: images, documents, bytes, missing, fetched, cache."""
    text = sdk.environ.get("CACHE_LIMIT") or LIMIT
    limit = parse_limit(text)
    if limit is None:
        raise TrainerError(ErrorType.CONFIG_ERROR, f"CACHE_LIMIT {text!r} is no size: write a number such as 50Gi")
    with open_source(sdk.dataset_s3_uri, storage=sdk.storage) as (source, prefix):
        if cache and source.copies:
            with _without_it_where_it_fails(sdk, cache, source):
                entry, moved = fetch_into(
                    cache,
                    source,
                    prefix,
                    limit=limit,
                    progress=sdk.set_progress,
                    log=partial(sdk.log, "INFO"),
                )
                link_entry(entry, work_dir)
                cache.sweep()
                return {**entry.facts, "fetched": moved, "cache": "filled" if moved else "hit"}
        return _into_workspace(sdk, source, prefix, work_dir)


@contextlib.contextmanager
def _without_it_where_it_fails(sdk: TrainerSDK, cache: Cache, source: Source) -> Any:
    """Lets a job go on without a cache that is full, read-only or gone; the dataset's own faults are raised."""
    try:
        yield
    except (TrainerError, OSError) as error:
        if isinstance(error, TrainerError) and error.detail != "disk_full":
            raise
        sdk.log("WARNING", f"the cache cannot take the dataset, which is fetched for this job alone: {error}")
        with contextlib.suppress(OSError, TrainerError):
            give_up(cache, source)


def _into_workspace(sdk: TrainerSDK, source: Source, prefix: str, work_dir: Path) -> dict[str, Any]:
    folder = work_dir / "dataset"
    if folder.is_symlink():  # of an earlier try, which had a cache
        clear(folder)
        clear(work_dir / DIGESTS)
    got = collect(source, prefix, folder=folder, journal=work_dir / ".fetch-journal", progress=sdk.set_progress)
    write_facts(work_dir / DIGESTS, got.facts)
    return {
        "uri": source.uri,
        "images": len(got.images.items),
        "documents": len(got.documents.items),
        "bytes": got.size,
        "missing": len(got.images.missing),
        "missing_names": got.images.missing[:NAMED],
        "fetched": got.moved,
        "cache": "none",
    }
