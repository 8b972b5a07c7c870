"""Every environment variable the platform reads, declared once and typed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from workflows.keys import StorageTarget

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
    database_url: str | None = None
    """SQLAlchemy URL; default: SQLite in the home folder."""

    engine: Literal["local"] = "local"
    environments: Path = SOURCE / ".venvs"
    """Folder with one virtual environment per image, for the local engine."""
    gpus: int | None = Field(None, ge=0)
    """GPUs the local engine hands out; default: what nvidia-smi lists."""
    cpus: float | None = Field(None, gt=0)
    image_prefix: str = "tiphys"
    mlflow_tracking_uri: str | None = None

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
    silence_warning: float = Field(600, gt=0)
    """Seconds without a heartbeat while training until the job is warned about."""
    cancel_grace: float = Field(60, ge=0)
    """Seconds a trainer has to hear a cancel before the workflow is stopped, and again before it is terminated."""
    max_active_jobs: int = Field(200, ge=1)
    """Jobs handed to the engine at a time; the rest wait as pending, oldest first."""
    heartbeats_per_second: float = Field(200, gt=0)
    """Heartbeats one job may send a second before it is told 429; as many events, too."""
    upload_limit: int = Field(50 * 2**30, gt=0)
    """Bytes an uploaded dataset may be long."""
    check_timeout: float = Field(900, gt=0)
    """Seconds a dataset's check may take."""

    def resolved_home(self) -> Path:
        """The home folder as an absolute path."""
        return self.home.expanduser().resolve()

    def resolved_database_url(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.resolved_home() / 'tiphys.db'}"

    def api_url(self) -> str:
        """Base URL of the API without a trailing slash."""
        # What listens everywhere is reached at the loopback address; an IPv6 address stands in brackets.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return (self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}").rstrip("/")

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


def prepare_home(settings: Settings) -> Settings:
    """Make the home folder and the secrets a first start lacks; return settings that carry them."""
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
