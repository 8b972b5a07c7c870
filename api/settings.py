"""Every environment variable the platform reads, declared once and typed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from workflows.attempt import MLFLOW_LOGIN
from workflows.keys import StorageTarget
from workflows.placement import Placement
from workflows.version import __version__

DEFAULT_PORT = 8137
SOURCE = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What one platform process runs with; every field is `TIPHYS_` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="TIPHYS_", extra="ignore")

    home: Path = Path(".tiphys")
    """Folder that holds database, storage, tokens and the local engine's state."""
    host: str = "127.0.0.1"
    port: int = Field(DEFAULT_PORT, ge=0, le=65535)
    public_url: str | None = None
    """Base URL under which trainers and people reach the API; default: http://host:port."""
    job_url: str | None = None
    """Base URL under which people open a job, linked from its workflow; default: the API's own."""
    argo_ui: str | None = None
    """Base URL under which people open Argo's UI, linked from a job; default: none."""
    database_url: str | None = None
    """postgresql://user:password@host:5432/name; default: SQLite in the home folder."""
    database_connections: int = Field(20, ge=2)
    """The most connections one process opens to PostgreSQL."""

    engine: Literal["local", "argo"] = "local"
    environments: Path = SOURCE / ".venvs"
    """Folder with one virtual environment per image, for the local engine."""
    gpus: int | None = Field(None, ge=0)
    """GPUs the local engine hands out; default: what nvidia-smi lists."""
    cpus: float | None = Field(None, gt=0)
    image_prefix: str = "tiphys"
    image_tag: str = __version__
    """Version of the steps' and trainers' images; default: this platform's own."""

    argo_namespace: str | None = None
    """Namespace of the workflows; default: this pod's own, or the kubeconfig's."""
    argo_server: str | None = None
    """URL of an Argo Server to submit through; default: the Kubernetes API, which checks less."""
    argo_token: SecretStr | None = None
    """Bearer token for the Argo Server; default: the one shown to the Kubernetes API."""
    argo_token_file: Path | None = None
    """File with that token, read anew every minute."""
    argo_ca: Path | None = None
    """Certificate authority of the Argo Server, PEM; default: the system's."""
    kubeconfig: Path | None = None
    """How to reach the Kubernetes API; default: this pod's service account, else $KUBECONFIG, else ~/.kube/config."""
    kube_context: str | None = None
    """The kubeconfig's context; default: its current one."""

    workflow_service_account: str | None = None
    """Service account of the jobs' pods: it may create and patch workflowtaskresults; default: the namespace's own."""
    image_pull_secrets: list[str] = Field(default_factory=list)
    """Names of Secrets with which the jobs' images are pulled, as a JSON list."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes on which jobs run, as a JSON object."""
    gpu_node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes with GPUs, beside those above, as a JSON object."""
    gpu_tolerations: list[dict[str, Any]] = Field(default_factory=list)
    """Taints of the nodes with GPUs that trainings tolerate, as a JSON list of Kubernetes' tolerations."""

    argo_executor: Literal["wait", "supervisor"] = "wait"
    """The container of Argo's executor in pods: `supervisor` where the controller's `initlessPod` (4.1) is enabled."""

    mlflow_tracking_uri: str | None = None
    """Where trainers keep their runs; a user and a password in it reach them through the job's Secret."""
    pretrained_source: str | None = None
    """Where jobs may fetch pretrained weights that the storage has not yet, as
    `https://host/{framework}/{model}.{ext}`; they are kept in the storage then. None: nothing is fetched."""

    storage_type: Literal["file", "minio", "r2", "s3"] = "file"
    storage_bucket: str = "tiphys"
    storage_endpoint: str | None = None
    storage_access_key: SecretStr | None = None
    storage_secret_key: SecretStr | None = None

    signing_keys: dict[str, SecretStr] = Field(default_factory=dict)
    """Keys of the callback tokens by kid, as JSON; the first signs, all verify; default: made in the home folder."""
    user_token: SecretStr | None = None
    """Bearer token of people and the CLI; default: made in the home folder on first start."""

    tick: float = Field(0.5, gt=0)
    """Seconds between two looks of the reconciler."""
    reconciler_lease: float = Field(15, ge=1)
    """Seconds for which one of several reconcilers is the active one without a word: then the next takes over."""
    silence_warning: float = Field(600, gt=0)
    """Seconds without a heartbeat while training until the job is warned about."""
    pending_warning: float = Field(120, gt=0)
    """Seconds a pod may wait to start in the cluster until its job is warned about."""
    pending_limit: float = Field(24 * 3600, gt=0)
    """Seconds after which a job fails whose pod finds no room, quota, volume or lock; a job's limits.pending wins."""
    start_limit: float = Field(15 * 60, gt=0)
    """Seconds after which a job fails whose image, secret or container settings are wrong; limits.pending wins."""
    cancel_grace: float = Field(60, ge=0)
    """Seconds a trainer has to hear a cancel before the workflow is stopped, and again before it is terminated."""
    max_active_jobs: int = Field(200, ge=1)
    """Jobs handed to the engine at a time; the rest wait as pending, oldest first."""
    heartbeats_per_second: float = Field(200, gt=0)
    """Heartbeats one job may send a second before it is told 429; as many events, too."""
    upload_limit: int = Field(50 * 2**30, gt=0)
    """Bytes an uploaded dataset may be long."""
    dataset_task_timeout: float = Field(6 * 3600, gt=0)
    """Seconds one task of a dataset may take: a check, a conversion, an export."""
    cache_claim: str | None = None
    """PersistentVolumeClaim in which jobs keep what they fetched and converted; default: one on this machine for the
    local engine, none elsewhere; empty: none."""
    cache_limit: str = "50Gi"
    """How large that cache may become."""

    @field_validator("pretrained_source")
    @classmethod
    def _without_password(cls, value: str | None) -> str | None:
        if value and "@" in urlsplit(value).netloc:
            raise ValueError("it would stand in every job's manifest, user, token and all: give an address without any")
        return value

    def resolved_home(self) -> Path:
        """The home folder as an absolute path."""
        # Asked for at each look at each job: links of a folder that stands are not followed anew every time.
        return _resolved(self.home) if self.home.is_absolute() else self.home.expanduser().resolve()

    def resolved_database_url(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.resolved_home() / 'tiphys.db'}"

    @property
    def shared(self) -> bool:
        """Whether other processes elsewhere work on the same records: then nothing they need lies in a home folder."""
        return self.database_url is not None and not self.database_url.startswith("sqlite")

    def api_url(self) -> str:
        """Base URL of the API without a trailing slash."""
        # What listens everywhere is reached at the loopback address; an IPv6 address stands in brackets.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return (self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}").rstrip("/")

    def resolved_cache_claim(self) -> str | None:
        """The claim that jobs share as their cache, None where there is none."""
        if self.cache_claim is None:
            return "tiphys-cache" if self.engine == "local" else None
        return self.cache_claim or None

    def workflow_page(self, name: str, *, place: str | None) -> str | None:
        """Where people see a workflow of a place (`Engine.place`) in Argo's UI; None where it has no page."""
        engine, _, namespace = (place or f"{self.engine}/{self.argo_namespace or ''}").partition("@")[0].partition("/")
        if engine != "argo" or not namespace or not self.argo_ui:
            return None
        return f"{self.argo_ui.rstrip('/')}/workflows/{namespace}/{name}"

    def mlflow(self) -> tuple[str | None, dict[str, str]]:
        """MLflow's address without user and password, and these by the name of the variable its client reads."""
        address = urlsplit(self.mlflow_tracking_uri or "")
        if not address.username:
            return self.mlflow_tracking_uri, {}
        plain = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
        login = (unquote(address.password or ""), unquote(address.username))
        return plain, dict(zip(MLFLOW_LOGIN, login, strict=True))

    def placement(self) -> Placement:
        """Where the jobs' pods run, and as whom."""
        return Placement(
            service_account=self.workflow_service_account,
            image_pull_secrets=tuple(self.image_pull_secrets),
            node_selector=self.node_selector,
            gpu_node_selector=self.gpu_node_selector,
            gpu_tolerations=tuple(self.gpu_tolerations),
            executor=self.argo_executor,
        )

    def job_page(self, job_id: str) -> str:
        """Where people see a job."""
        return f"{(self.job_url or self.api_url()).rstrip('/')}/api/v1/training/jobs/{job_id}"

    def of_workflows(self) -> dict[str, Any]:
        """What every workflow is told of this platform, as fields of a `Run`: the same to be shown and to be run."""
        mlflow, login = self.mlflow()
        return {
            "storage": self.storage(),
            "mlflow_tracking_uri": mlflow,
            "mlflow_login": bool(login),
            "pretrained_source": self.pretrained_source,
            "image_prefix": self.image_prefix,
            "image_tag": self.image_tag,
            "placement": self.placement(),
            "cache_claim": self.resolved_cache_claim(),
            "cache_limit": self.cache_limit,
        }

    def claims(self) -> Path:
        """The folder whose folders stand for claims, for the local engine."""
        return self.resolved_home() / "engine" / "claims"

    def storage(self) -> StorageTarget:
        """Where datasets, checkpoints and logs lie."""
        root = str(self.resolved_home() / "storage") if self.storage_type == "file" else None
        return StorageTarget(
            type=self.storage_type, bucket=self.storage_bucket, root=root, endpoint=self.storage_endpoint
        )

    def storage_secrets(self) -> dict[str, str]:
        """Storage credentials by the name of the variable a step reads them from."""
        values = [self.storage_access_key, self.storage_secret_key]
        names = self.storage().secret_variables
        return {name: value.get_secret_value() for name, value in zip(names, values, strict=False) if value}


@lru_cache(maxsize=64)
def _resolved(home: Path) -> Path:
    return home.resolve()


def prepare_home(settings: Settings) -> Settings:
    """Make the home folder and the secrets a first start lacks; return settings that carry them.

    Raises:
        ValueError: secrets are missing that several processes must share, or broken; the text names them and the cure.
    """
    if settings.shared:
        given = {"TIPHYS_USER_TOKEN": settings.user_token, "TIPHYS_SIGNING_KEYS": settings.signing_keys}
        if missing := [name for name, value in given.items() if not value]:
            raise ValueError(
                f"{' and '.join(missing)} must be set where the records are in a shared database: "
                "every process has to know the same"
            )
    home = settings.resolved_home()
    home.mkdir(parents=True, exist_ok=True)
    if settings.storage_type == "file":
        (home / "storage").mkdir(exist_ok=True)
    token = settings.user_token or SecretStr(_kept(home / "token", lambda: "tiphys_" + secrets.token_urlsafe(24)))
    keys = settings.signing_keys
    if not keys:
        made = _kept(home / "keys.json", lambda: json.dumps({secrets.token_hex(4): secrets.token_urlsafe(48)}))
        try:
            keys = {kid: SecretStr(key) for kid, key in json.loads(made).items()}
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{home / 'keys.json'} holds no signing keys: remove it, and new ones are made") from error
    return settings.model_copy(update={"home": home, "user_token": token, "signing_keys": keys})


def _kept(path: Path, make: Callable[[], str]) -> str:
    """Read a secret file, or write it once with mode 0600; two starts at the same time agree on one value."""
    if not path.exists():
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_text(make())
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass  # the other start was first; its value counts
        finally:
            fresh.unlink()
    return path.read_text().strip()
