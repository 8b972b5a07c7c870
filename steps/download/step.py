"""The download step in a pipeline: has the dataset from the cache or fetches what is needed, tells how much."""

from __future__ import annotations

from pathlib import Path

from steps.download.cache import Cache
from steps.download.links import link_entry
from steps.trainer_sdk import ErrorType, TrainerError, TrainerSDK

TYPE_CHECKING = False  # `typing` costs a known version more time than the look into the cache
if TYPE_CHECKING:
    from typing import Any


def run_step(sdk: TrainerSDK) -> int:
    """Fetches DATASET_S3_URI into WORK_DIR/dataset; raises TrainerError with the type that the record shall carry."""
    uri, work_dir = sdk.dataset_s3_uri, Path(sdk.work_dir)
    if not uri:
        message = "DATASET_S3_URI is not set: it names the dataset's prefix (ending in /) or its .zip"
        raise TrainerError(ErrorType.CONFIG_ERROR, message)
    sdk.event("dataset_download_started", f"fetching {uri}", data={"uri": uri})
    cache, facts = _open_cache(sdk), None
    if cache:
        facts = _known(sdk, cache, work_dir)
    if facts is None:
        from steps.download.bring import bring  # what is in the cache already needs none of this

        facts = bring(sdk, cache, work_dir)
    if sdk.pretrained_uri:
        from steps.download.weights import fetch_weights

        fetch_weights(sdk, work_dir / "weights")
    _tell(sdk, facts)
    return 0


def _open_cache(sdk: TrainerSDK) -> Cache | None:
    root = sdk.environ.get("CACHE_DIR")
    if not root:
        return None
    try:
        return Cache(Path(root), job=sdk.job_id)
    except OSError as error:
        sdk.log("WARNING", f"the cache {root} cannot be used and the job goes on without it: {error}")
        return None


def _known(sdk: TrainerSDK, cache: Cache, work_dir: Path) -> dict[str, Any] | None:
    """Shows the entry of the version that the job names: nothing need be asked of its origin."""
    try:
        found = cache.of_version(sdk.dataset_version_hash or sdk.snapshot_id)
        if found is None:
            return None
        link_entry(found, work_dir)
        return {**found.facts, "fetched": 0, "cache": "hit"}
    except OSError as error:
        sdk.log("WARNING", f"the cache {cache.root} cannot be read and the dataset is fetched anew: {error}")
        return None


def _tell(sdk: TrainerSDK, facts: dict[str, Any]) -> None:
    uri, names = facts["uri"], facts.pop("missing_names")
    documents = f"{facts['documents']} document{'' if facts['documents'] == 1 else 's'}"
    message = f"{facts['images']} images, {documents}, {facts['bytes'] / 1e6:.1f} MB from {uri}"
    rest = "the cache had all" if facts["cache"] == "hit" else f"{facts['fetched']} files fetched, the rest was there"
    sdk.log("INFO", f"{message}; {rest}")
    if facts["missing"]:
        few = ", ".join(names) + (", …" if facts["missing"] > len(names) else "")
        sdk.log("WARNING", f"{facts['missing']} images are named but not in {uri}: {few}")
    sdk.event("dataset_loaded", message, data=facts)
    sdk.set_output("download", "images", str(facts["images"]))
    sdk.set_output("download", "bytes", str(facts["bytes"]))
