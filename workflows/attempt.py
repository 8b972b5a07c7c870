"""One attempt at a job: what is decided when it is run, beside what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.keys import StorageTarget, workflow_name
from workflows.placement import ANYWHERE, Placement
from workflows.version import __version__

MLFLOW_LOGIN = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_USERNAME")
"""As MLflow's own client reads them."""


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
    cache_claim: str | None = None
    """The PersistentVolumeClaim that holds what jobs fetched and converted before; None: each job fetches anew."""
    cache_limit: str | None = None
    """How large the cache may become, as `50Gi`; None: as the download step decides."""
    resume: bool = False
    """Continue from the job's last checkpoint, where there is one."""
    snapshot_id: str | None = None
    dataset_version_hash: str | None = None
    mlflow_tracking_uri: str | None = None
    """Without a user and a password in it: these stand in the Secret."""
    mlflow_login: bool = False
    """Whether the Secret holds MLflow's user and password."""
    pretrained_source: str | None = None
    """Where weights lie that the storage has not; `{framework}`, `{model}` and `{ext}` are put in."""
    image_prefix: str = "tiphys"
    image_tag: str = __version__
    job_url: str | None = None
    """The job's page, linked from the workflow's."""
    user: str | None = None
    placement: Placement = ANYWHERE
    """Where the pods run; on one machine it means nothing."""

    @property
    def name(self) -> str:
        """The workflow's name, and its Secret's."""
        return workflow_name(self.job_id, self.attempt)

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The variables the Secret must hold, sorted."""
        token = ("CALLBACK_TOKEN",) if self.callback and self.backend_url else ()
        login = MLFLOW_LOGIN if self.mlflow_login else ()
        return tuple(sorted((*token, *login, *self.storage.secret_variables)))
