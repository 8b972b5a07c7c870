"""Names and object keys: the one place where an id becomes a workflow's name or a place in storage."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote

# Without 0/o, 1/i/l and u: an id that is read aloud or typed from a screen is still the same id.
JOB_ID_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
JOB_ID_LENGTH = 8

StorageType = Literal["file", "minio", "r2", "s3"]

ENDPOINT_VARIABLE: Mapping[str, str] = MappingProxyType(
    {"minio": "MINIO_ENDPOINT", "r2": "R2_ENDPOINT", "s3": "AWS_ENDPOINT_URL"}
)
SECRET_VARIABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "file": (),
        "minio": ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"),
        "r2": ("R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY"),
        "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    }
)

# No leading dot, no slash: an id is one path segment and can neither climb nor hide.
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_JOB_ID = re.compile(rf"[{JOB_ID_ALPHABET}]{{{JOB_ID_LENGTH}}}")


def new_job_id() -> str:
    """Returns a fresh random job id of 8 characters (39 bits)."""
    return "".join(secrets.choice(JOB_ID_ALPHABET) for _ in range(JOB_ID_LENGTH))


def is_job_id(text: str) -> bool:
    """Tells whether `text` has the shape of a job id."""
    return _JOB_ID.fullmatch(text) is not None


def new_task_id() -> str:
    """Returns a fresh random id of a dataset's task, shaped like a job's."""
    return new_job_id()


def new_trace_id() -> str:
    """Returns a fresh trace id, 32 hexadecimal characters."""
    return secrets.token_hex(16)


def workflow_name(job_id: str, attempt: int) -> str:
    """Returns the name of an attempt's workflow and of its Secret: derived, so that submitting twice is harmless."""
    if attempt < 1:
        raise ValueError(f"attempt {attempt}: attempts count from 1")
    return f"train-{segment(job_id)}-{attempt}"


def segment(text: str) -> str:
    """Returns `text` where it can stand as one segment of a key; raises ValueError otherwise."""
    if not _SEGMENT.fullmatch(text):
        raise ValueError(
            f"{text!r} cannot stand in a storage key: use letters, digits, '.', '_' and '-', "
            "at most 128 characters, not beginning with '.' or '-'"
        )
    return text


def dataset_prefix(dataset_id: str) -> str:
    """Returns the prefix of a dataset kept as single objects."""
    return f"datasets/{segment(dataset_id)}/"


def dataset_zip(dataset_id: str) -> str:
    """Returns the key of a dataset kept as one archive."""
    return f"datasets/{segment(dataset_id)}.zip"


def pretrained(framework: str, model: str, ext: str) -> str:
    """Returns the key of a model's pretrained weights; `ext` is without its dot."""
    return f"pretrained_weights/{segment(framework)}/{segment(model)}.{segment(ext)}"


def checkpoints_prefix(project_id: str | None, job_id: str) -> str:
    """Returns the prefix under which a job's `best.*` and `last.*` lie."""
    if project_id is None:
        return f"checkpoints/test-jobs/job_{segment(job_id)}/"
    return f"checkpoints/projects/{segment(project_id)}/jobs/{segment(job_id)}/"


def logs_prefix(job_id: str) -> str:
    """Returns the prefix of a job's training log, plots and framework logs."""
    return f"logs/job-{segment(job_id)}/"


def snapshots_prefix() -> str:
    """Returns the prefix under which every snapshot has its record: `{snapshot_id}/snapshot.json`."""
    return "snapshots/"


def dataset_outputs_prefix(dataset_id: str, task_id: str | None = None) -> str:
    """Returns the prefix of what one task made of a dataset, or of what all of them made: pages, sheets, exports."""
    whole = f"exports/dataset-{segment(dataset_id)}/"
    return whole if task_id is None else f"{whole}{segment(task_id)}/"


def exports_prefix(job_id: str, export_id: str) -> str:
    """Returns the prefix of one export of a job's model."""
    return f"exports/job-{segment(job_id)}/{segment(export_id)}/"


def predictions_prefix(job_id: str, prediction_id: str) -> str:
    """Returns the prefix of one prediction run with a job's model."""
    return f"predictions/job-{segment(job_id)}/{segment(prediction_id)}/"


@dataclass(frozen=True)
class StorageTarget:
    """Where the objects lie: a folder (`file`) or a bucket of an S3-compatible service."""

    type: StorageType
    bucket: str
    root: str | None = None
    """The absolute folder that plays the bucket; `file` only."""
    endpoint: str | None = None
    """The service's address; required for `minio` and `r2`, optional for `s3`."""

    def __post_init__(self) -> None:
        if self.type not in SECRET_VARIABLES:
            raise ValueError(f"storage type {self.type!r} is unknown: use one of {', '.join(SECRET_VARIABLES)}")
        if self.type == "file":
            if self.root is None or not Path(self.root).is_absolute():
                raise ValueError(f"file storage needs an absolute folder as root, not {self.root!r}")
        elif self.root is not None:
            raise ValueError(f"{self.type} storage has no root folder: drop root={self.root!r}")
        if self.type in ("minio", "r2") and not self.endpoint:
            raise ValueError(f"{self.type} storage needs an endpoint, e.g. http://storage.example:9000")

    def uri(self, key: str) -> str:
        """Returns the URI of an object key, or of a prefix where `key` ends in `/`."""
        if self.type == "file":
            return f"file://{quote(str(self.root).rstrip('/'))}/{quote(key)}"
        return f"s3://{self.bucket}/{key}"

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The credentials' variables, which a pod gets from its Secret alone."""
        return SECRET_VARIABLES[self.type]

    def environment(self) -> dict[str, str]:
        """Returns the variables that are no secret."""
        # A folder is its own bucket: whoever has a key and the bucket's name can find the object.
        bucket = self.root if self.type == "file" and self.root else self.bucket
        variables = {"STORAGE_TYPE": self.type, "STORAGE_BUCKET": bucket}
        if self.endpoint:
            variables[ENDPOINT_VARIABLE[self.type]] = self.endpoint
        return variables
