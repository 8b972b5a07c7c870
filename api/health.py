"""Tells whether this process lives, and whether the platform around it is ready to work."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.db import MIGRATIONS
from api.errors import StorageFull, Unavailable
from api.platform import Platform, PlatformOf
from api.problems import problems
from workflows.version import __version__

router = APIRouter(tags=["health"])

RECONCILER_MARK = "reconciler.alive"
"""The file in the home folder that the reconciler touches at every tick."""
RECONCILER_SECONDS = 15.0
"""How old the mark may be at least; a slow tick makes it more."""


class Health(BaseModel):
    """A process that answers."""

    status: Literal["ok"] = "ok"
    version: str = __version__


class Check(BaseModel):
    """One thing the platform needs."""

    ok: bool
    message: str


class Readiness(BaseModel):
    """Everything the platform needs, and whether it is there."""

    status: Literal["ready"] = "ready"
    checks: dict[str, Check]


@router.get("/health", summary="Does this process live")
async def health() -> Health:
    """Answer, and do nothing else: for a liveness probe."""
    return Health()


@router.get("/ready", summary="Is the platform ready", responses=problems(503))
def ready(platform: PlatformOf) -> Readiness:
    """Ask database, migrations, storage and reconciler: for a readiness probe, and for a person who wonders."""
    named: dict[str, Callable[[Platform], str]] = {
        "database": _database,
        "migrations": _migrations,
        "storage": _storage,
        "reconciler": _reconciler,
    }
    checks = {}
    for name, ask in named.items():
        try:
            checks[name] = Check(ok=True, message=ask(platform))
        except Unavailable as error:
            checks[name] = Check(ok=False, message=f"{error.message}; {error.cure}")
    faults = [f"{name}: {check.message}" for name, check in checks.items() if not check.ok]
    if faults:
        told = {name: check.model_dump() for name, check in checks.items()}
        raise Unavailable("; ".join(faults), cure="see checks", checks=told)
    return Readiness(checks=checks)


def _database(platform: Platform) -> str:
    try:
        with platform.database.read() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        raise Unavailable(f"it does not answer ({type(error).__name__})", cure="check TIPHYS_DATABASE_URL") from error
    return "answers"


def _migrations(platform: Platform) -> str:
    try:
        with platform.database.engine.connect() as connection:
            here = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        raise Unavailable(f"unknown ({type(error).__name__})", cure="check TIPHYS_DATABASE_URL") from error
    head = _head()
    if here != head:
        raise Unavailable(f"the schema is at {here or 'nothing'}, not {head}", cure="run: alembic upgrade head")
    return f"at {head}"


@cache
def _head() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def _storage(platform: Platform) -> str:
    try:
        platform.storage.probe()
    except StorageFull as error:
        raise Unavailable(error.message, cure=error.cure) from error
    return "takes files"


def _reconciler(platform: Platform) -> str:
    mark = platform.settings.resolved_home() / RECONCILER_MARK
    age = _age(mark, platform)
    most = max(RECONCILER_SECONDS, 20 * platform.settings.tick)
    if age is None or age > most:
        seen = "was never seen" if age is None else f"was last seen {age:.0f} s ago"
        raise Unavailable(f"it {seen}", cure="nothing starts without it: run `tiphys up`, or python -m api.reconciler")
    return f"seen {max(age, 0.0):.0f} s ago"


def _age(mark: Path, platform: Platform) -> float | None:
    try:
        return platform.clock().timestamp() - mark.stat().st_mtime
    except FileNotFoundError:
        return None
