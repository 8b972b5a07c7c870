"""The one way this trainer fails: a kind, one line that names the thing and the cure, and an exit code."""

from __future__ import annotations

import errno
import re
import traceback

from steps.trainer_sdk import TrainerError

GPU_OOM, DISK_FULL = "gpu_oom", "disk_full"
GPU_OOM_SIGNS = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
NOT_READY = 75  # the contract's "temporary, try again later"


class Failure(TrainerError):
    """A cause of failure in the contract's words: error type, message with its cure, optional detail, exit code."""

    def __init__(self, error_type: str, message: str, *, detail: str | None = None, exit_code: int = 1) -> None:
        super().__init__(error_type, message, detail=detail)
        self.message = message
        self.trace: str | None = None  # only where the cause is none of the user's making
        self.exit_code = exit_code


def disk_full(error: OSError, *, path: object = None) -> Failure | None:
    """Return the failure for an OSError that says that there is no room left, else None."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return None
    where = error.filename or path or "the workspace"
    return Failure(
        "RESOURCE_ERROR",
        f"no space left on the disk while writing {where}; free some, or give the job a larger workspace",
        detail=DISK_FULL,
    )


def out_of_gpu_memory(*, batch: int, image_size: int) -> Failure:
    """Return the failure for a GPU that ran out of memory, with the next values that may fit."""
    smaller = max(32, int(image_size * 0.75) // 32 * 32)
    if batch > 1:
        cure = f"lower batch to {1 << ((batch - 1).bit_length() - 1)} (or image_size to {smaller})"
    elif smaller < image_size:
        cure = f"batch is 1 already: lower image_size to {smaller} or take a smaller model"
    else:
        cure = "batch and image_size are as small as they go: take a smaller model or a larger GPU"
    return Failure(
        "RESOURCE_ERROR",
        f"the GPU ran out of memory with batch {batch} and image_size {image_size}; {cure}",
        detail=GPU_OOM,
    )


def explain(error: Exception, *, batch: int, image_size: int, started: bool) -> Failure:
    """Return the failure that an exception of the framework means; `started` tells whether training was under way."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, TrainerError):
        failure = Failure(error.error_type.value, str(error), detail=error.detail, exit_code=error.exit_code)
    elif isinstance(error, OSError) and (full := disk_full(error)):
        failure = full
    elif isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error):
        cure = "give the job more memory, or lower batch or image_size"
        failure = Failure("RESOURCE_ERROR", f"out of memory with batch {batch} and image_size {image_size}; {cure}")
    elif isinstance(error, RuntimeError) and any(sign in str(error) for sign in GPU_OOM_SIGNS):
        failure = out_of_gpu_memory(batch=batch, image_size=image_size)
    elif gone := sign_of_missing_images(error):
        cure = "put the dataset back where it was registered, then retry"
        failure = Failure("DATASET_ERROR", f"the images of the dataset are no longer there ({gone}); {cure}")
    else:
        # Before the first batch the framework's own checks of its settings are what speaks.
        setting = not started and isinstance(error, ValueError | TypeError | SyntaxError | AssertionError)
        text = plain(error)[:500] or "no message"
        failure = Failure("CONFIG_ERROR" if setting else "FRAMEWORK_ERROR", f"ultralytics: {text}")
        failure.trace = "".join(traceback.format_exception(error))
    return failure


def plain(error: BaseException) -> str:
    """Return an exception's text on one line, without the colours of a terminal."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())


def sign_of_missing_images(error: BaseException) -> str | None:
    """Return what an exception says of images that were there when training was prepared, None for any other."""
    text = plain(error)
    signs = ("No valid images found", "Image Not Found", "No images found")
    return text[:200] if any(sign in text for sign in signs) else None
