"""Words for causes: which reason a line of error text means, and what cures each reason."""

from __future__ import annotations

import re
import shlex
from datetime import timedelta

from api.jobs.status import ERROR_TYPE_REASONS, Reason

_NAMED = re.compile(r"^\[?([A-Z]+_ERROR)\]?\s*[:\-]\s*")
_MAIN = re.compile(r"^(?:main|wait|init|supervisor): Error \(exit code -?\d+\)(?::\s*)?")
_TRACEBACK = re.compile(r"^\s*Traceback \(most recent call last\)")

_TEXTS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (Reason.GPU_OOM, re.compile(r"cuda.{0,20}out of memory|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|gpu_oom", re.I)),
    (
        Reason.DISK_FULL,
        re.compile(r"no space left on device|ENOSPC|disk (?:is )?full|disk_full", re.I),
    ),
)
_CHANGED = re.compile(r"\bthe dataset has changed\b.*\brestore the dataset\b")
_NO_CHECKPOINT = re.compile(r"\b(?:no|without(?: a)?|any)\b.{0,20}\bcheckpoint", re.I)

CURES: dict[Reason, str] = {
    Reason.NO_CHECKPOINT: "save best or last below $WORK_DIR/run, or call upload_checkpoint(), then retry",
    Reason.DATASET_ERROR: "correct the dataset (`tiphys dataset check ID` lists every problem, `tiphys dataset fix ID` "
    "repairs what can be), then retry",
    Reason.CONFIG_ERROR: "correct the job's settings and submit it again",
    Reason.CHECKPOINT_ERROR: "retry with --fresh to start from scratch if the checkpoint cannot be read",
    Reason.RESOURCE_ERROR: "ask for less under `resources` or free the machine, then retry",
    Reason.NETWORK_ERROR: "check that storage and network answer, then retry: it resumes from the last checkpoint",
    Reason.FRAMEWORK_ERROR: "see the train step's log; correct the settings it names, then submit again",
    Reason.DIVERGED: "lower the learning rate or check the labels, then submit again",
    Reason.TRAINING_ERROR: "see the train step's log, correct what it names, then retry",
    Reason.UNKNOWN_ERROR: "see the step's log for the cause, then retry",
    Reason.GPU_OOM: "lower hyperparameters.batch or image_size, or use a GPU with more memory",
    Reason.DISK_FULL: "free disk space or raise resources.workspace, then retry: it resumes from the last checkpoint",
    Reason.DEADLINE: "raise limits.total, then retry: it resumes from the last checkpoint",
    Reason.STEP_DEADLINE: "raise limits.total or give the step less to do; retry resumes from the last checkpoint",
    Reason.PREEMPTED: "retry: it resumes from the last checkpoint",
    Reason.TEMPORARY: "retry when network, storage or GPU are back: it resumes from the last checkpoint",
    Reason.KILLED: "find who killed it (a person, the system's memory guard); retry resumes from the last checkpoint",
    Reason.REPORT_FAILED: "check that trainers reach the API; uploaded checkpoints are kept, and a retry resumes",
    Reason.UPLOAD_FAILED: "check that storage answers and has room, then retry: it resumes from the last checkpoint",
    Reason.REFUSED: "correct what is named and submit the job again",
    Reason.ENGINE_ERROR: "retry: it resumes from the last checkpoint; if it comes again, see the controller's log",
    Reason.EPHEMERAL_STORAGE: "write to $WORK_DIR, whose size is resources.workspace, not to /tmp or the image",
    Reason.WORKFLOW_DELETED: "retry: it resumes from the last checkpoint; to end a job use cancel",
    Reason.STOPPED: "retry: it resumes from the last checkpoint; to end a job use cancel",
    Reason.TERMINATED: "retry: it resumes from the last checkpoint; to end a job use cancel",
    Reason.IMAGE_PULL: "correct the image's name or give the cluster its pull secret, then retry",
    Reason.MISSING_SECRET: "put the secret that is named into the workflows' namespace, then retry",
    Reason.QUOTA: "raise the namespace's quota or Argo's parallelism, or wait for other jobs, then retry",
    Reason.VOLUME: "give the namespace the claim that is named (TIPHYS_CACHE_CLAIM), or its storage class, then retry",
    Reason.LOCK: "wait for the workflow that holds the lock, or release it, then retry",
    Reason.UNSCHEDULABLE: "ask for less under `resources` or add nodes; limits.pending says how long to wait",
    Reason.NOT_STARTED: "see the pod's events for a slow image or volume; limits.pending says how long to wait",
    Reason.HEARTBEAT_TIMEOUT: "report progress at least every 10 s or raise limits.no_heartbeat, then retry",
}

# Where a step died without a word, what it does is the best guess.
STEP_REASONS: dict[str, Reason] = {
    "download": Reason.DATASET_ERROR,
    "convert": Reason.DATASET_ERROR,
    "train": Reason.TRAINING_ERROR,
    "upload": Reason.UPLOAD_FAILED,
    "report": Reason.REPORT_FAILED,
}


def with_cure(what: str, reason: Reason) -> str:
    """Returns one message that names the thing and the cure."""
    what = what.rstrip(". \n")
    if _CHANGED.search(what):
        return f"{what}."  # it says itself what to do, and a check would find nothing wrong
    cure = CURES.get(reason)
    return f"{what}. Cure: {cure}." if cure else f"{what}."


def with_dataset(message: str, dataset: str) -> str:
    """Returns a message whose cure names the commands for a job's own dataset."""
    named = shlex.quote(dataset)
    return re.sub(r"`tiphys dataset (check|fix) ID`", lambda found: f"`tiphys dataset {found[1]} {named}`", message)


def own_words(message: str) -> str:
    """Returns what the process itself said: a node's message without the executor's words before it."""
    return first_line(_MAIN.sub("", message))


def first_line(text: str) -> str:
    """Returns the one line of an error that a person can use: of a traceback its last, of anything else its first."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return ""
    line = lines[-1] if _TRACEBACK.match(lines[0]) else lines[0]
    return line if len(line) <= 500 else line[:499] + "…"


def split_named(text: str) -> tuple[Reason | None, str]:
    """Splits `DATASET_ERROR: what happened` into reason and words; without such a name the reason is None."""
    named = _NAMED.match(text)
    if named is None or named[1] not in ERROR_TYPE_REASONS:
        return None, text
    return ERROR_TYPE_REASONS[named[1]], text[named.end() :]


def reason_in(text: str, reason: Reason) -> Reason:
    """Sharpens a reason by what the text says: GPU memory, a full disk."""
    for sharper, pattern in _TEXTS:
        if pattern.search(text):
            return sharper
    return reason


def tells_of_no_checkpoint(text: str) -> bool:
    """Tells whether a text complains that there is no checkpoint."""
    return _NO_CHECKPOINT.search(text) is not None


def span(lasted: timedelta) -> str:
    """Returns a span of time for people: its two largest units."""
    seconds = int(lasted.total_seconds())
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{n} {unit}" for n, unit in ((hours, "h"), (minutes, "min"), (left, "s")) if n]
    return " ".join(parts[:2]) or "0 s"
