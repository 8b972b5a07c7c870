"""Brings a dataset to where a program can read it: a folder here stays as it lies, all else is fetched as for a job."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from api.datasets.program import Hear, ProgramFailed, environment, execute, steps_python
from api.settings import Settings


def local_folder(uri: str) -> Path | None:
    """Returns the folder of a file:// prefix, None for an archive or another place."""
    if not uri.startswith("file://") or not uri.endswith("/"):
        return None
    host, slash, path = uri.removeprefix("file://").partition("/")
    return Path("/" + unquote(path)) if host in ("", "localhost") and slash else None


def bring(
    settings: Settings,
    uri: str,
    *,
    dataset_id: str,
    work: Path,
    holder: str,
    hear: Hear,
    stop: Callable[[], bool],
    started: Callable[[int], None] = lambda _: None,
) -> Path:
    """Returns a folder with the dataset; `holder` is the name under which an entry of the cache is held meanwhile.

    Raises:
        ProgramFailed: it cannot be fetched. Stopped: `stop` said so.
    """
    folder = local_folder(uri)
    if folder is not None:
        return folder
    work.mkdir(parents=True, exist_ok=True)
    cause = work / "cause"
    variables = environment(work) | {
        # Without BACKEND_BASE_URL the step reports to nobody.
        "JOB_ID": holder,
        "TRACE_ID": holder,
        "TASK_TYPE": "object_detection",
        "MODEL_NAME": "none",
        "DATASET_ID": dataset_id,
        "DATASET_S3_URI": uri,
        "EPOCHS": "1",
        "BATCH_SIZE": "1",
        "LEARNING_RATE": "0.01",
        "WORK_DIR": str(work),
        "TMP_DIR": str(work),
        "TERMINATION_LOG": str(cause),
        "ARGO_PROGRESS_FILE": str(work / "progress"),
    }
    variables |= settings.storage().environment() | settings.storage_secrets()
    if (cache := cache_folder(settings)) is not None:
        variables |= {"CACHE_DIR": str(cache), "CACHE_LIMIT": settings.cache_limit}
    ended = execute(
        [steps_python(settings.environments), "-m", "steps.download"],
        environment=variables,
        cwd=work,
        hear=hear,
        stop=stop,
        seconds=settings.dataset_task_timeout,
        started=started,
        progress_file=work / "progress",
    )
    if ended.code == 0:
        return work / "dataset"
    told = cause.read_text(errors="replace").strip() if cause.is_file() else ended.told
    told = re.sub(r"^[A-Z_]+_ERROR: ", "", told)  # a word for the job's record
    if ended.code == 1:
        # The step says what is wrong and, behind the last semicolon, what cures it.
        told, _, cure = told.rpartition("; ") if "; " in told else (told, "", "")
        cure = cure or "correct the dataset, and register it again"
        raise ProgramFailed("invalid", f"the dataset cannot be fetched: {told}", cure=cure)
    raise ProgramFailed("temporary", f"the dataset could not be fetched: {told}", cure="try again")


def let_go(settings: Settings, holder: str) -> None:
    """Gives back what of the cache was held: an entry that nobody holds may be evicted."""
    cache = cache_folder(settings)
    if cache is not None:
        for lease in (cache / "leases").glob(f"*/{holder}"):
            with contextlib.suppress(OSError):
                lease.unlink()


def cache_folder(settings: Settings) -> Path | None:
    """Returns the folder that jobs on this machine keep their cache in; None where they run elsewhere."""
    claim = settings.resolved_cache_claim()
    return settings.claims() / claim if claim and settings.engine == "local" else None
