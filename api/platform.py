"""What every route works with: settings, database, storage, clock, and the bell for those who wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request

from api.artifacts.storage import Storage
from api.db import Database
from api.settings import Settings
from api.wake import Wake


def now() -> datetime:
    """Returns this moment in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One running platform; everything it touches is in here, so that a test can put another thing in its place."""

    settings: Settings
    database: Database
    storage: Storage
    clock: Callable[[], datetime] = now
    wake: Wake = field(default_factory=Wake)


def platform_of(request: Request) -> Platform:
    """FastAPI dependency: the platform that the app was created with."""
    platform: Platform = request.app.state.platform
    return platform


PlatformOf = Annotated[Platform, Depends(platform_of)]
