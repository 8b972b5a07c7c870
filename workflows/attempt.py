"""One attempt at a job: what is decided when it is run, beside what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.keys import StorageTarget, workflow_name
from workflows.version import __version__


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything a workflow needs that its JobSpec does not say."""

    job_id: str
    trace_id: str
    dataset_uri: str
    """A prefix ending in `/`, or a `.zip`; `file://` or `s3://`."""
    storage: StorageTarget
    attempt: int = 1
    backend_url: str | None = None
    """Where the trainer reports; None is a dry run, which prints what it would have sent."""
    callback: bool = True
    """Whether a callback token is in the Secret; without a backend there is none."""
    resume: bool = False
    """Continue from the job's last checkpoint, where there is one."""
    snapshot_id: str | None = None
    dataset_version_hash: str | None = None
    mlflow_tracking_uri: str | None = None
    image_prefix: str = "tiphys"
    image_tag: str = __version__
    job_url: str | None = None
    """The job's page, linked from the workflow's."""
    user: str | None = None

    @property
    def name(self) -> str:
        """The workflow's name, and its Secret's."""
        return workflow_name(self.job_id, self.attempt)

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The variables the Secret must hold, sorted."""
        token = ("CALLBACK_TOKEN",) if self.callback and self.backend_url else ()
        return tuple(sorted((*token, *self.storage.secret_variables)))
