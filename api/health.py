"""Tells whether this process lives, and whether the platform around it is ready to work."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Query
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
"""How long ago its last look may be at least; a slow tick makes it more."""
_LEASE = text(
    """SELECT holder, until > here.now, CAST(extract(epoch FROM here.now - looked_at) AS float8)
    FROM leases, (SELECT clock_timestamp() AT TIME ZONE 'UTC' AS now) AS here WHERE name = 'reconciler'"""
)


CheckName = Literal["database", "migrations", "storage", "reconciler"]


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


@router.get("/ready", summary="Is the platform ready", responses=problems(422, 503))
def ready(
    platform: PlatformOf,
    check: Annotated[
        list[CheckName] | None, Query(description="only these; a probe that takes the API away asks for its own needs")
    ] = None,
) -> Readiness:
    """Ask database, migrations, storage and reconciler: for a readiness probe, and for a person who wonders."""
    named: dict[CheckName, Callable[[Platform], str]] = {
        "database": _database,
        "migrations": _migrations,
        "storage": _storage,
        "reconciler": _reconciler,
    }
    checks: dict[str, Check] = {}
    for name, ask in named.items():
        if check and name not in check:
            continue
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


def _revision(platform: Platform) -> str | None:
    try:
        with platform.database.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        raise Unavailable(f"unknown ({type(error).__name__})", cure="check TIPHYS_DATABASE_URL") from error


def _migrations(platform: Platform) -> str:
    here, head = _revision(platform), _head()
    if here is not None and here not in _known():
        # While replicas are replaced one after the other the newest migrates first: migrations only add.
        return f"at {here}, which is newer than this process"
    if here != head:
        raise Unavailable(
            f"the schema is at {here or 'nothing'}, not {head}",
            cure="start the newest API, which brings it up to date, or run: python -m api --migrate",
        )
    return f"at {head}"


@cache
def _head() -> str | None:
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


@cache
def _known() -> frozenset[str]:
    return frozenset(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def _storage(platform: Platform) -> str:
    try:
        platform.storage.probe()
    except StorageFull as error:
        raise Unavailable(error.message, cure=error.cure) from error
    return "takes files"


def reconciler_age(platform: Platform) -> float | None:
    """Returns how many seconds ago the active reconciler finished a look, None where none was ever seen."""
    return _seen(platform)[1]


def _reconciler(platform: Platform) -> str:
    holder, age = _seen(platform)
    most = max(RECONCILER_SECONDS, 20 * platform.settings.tick)
    if age is None or age > most:
        seen = "was never seen" if age is None else f"was last seen {age:.0f} s ago"
        raise Unavailable(f"it {seen}", cure="nothing starts without it: run `tiphys up`, or python -m api.reconciler")
    return f"seen {max(age, 0.0):.0f} s ago" + (f", on {holder}" if holder else "")


def _seen(platform: Platform) -> tuple[str, float | None]:
    """Who is the active one, where there may be several, and how many seconds ago it finished a look."""
    if platform.settings.shared:
        return _lease(platform)
    return "", _age(platform.settings.resolved_home() / RECONCILER_MARK, platform)


def _lease(platform: Platform) -> tuple[str, float | None]:
    try:
        with platform.database.read() as session:
            row = session.execute(_LEASE).one_or_none()
    except SQLAlchemyError as error:
        raise Unavailable(f"unknown ({type(error).__name__})", cure="check TIPHYS_DATABASE_URL") from error
    if row is None:
        return "", None
    holder, stands, age = row
    # One that ended or died: another one has its place within a moment, and looks at once.
    return (holder if stands else f"{holder} (gone)"), age


def _age(mark: Path, platform: Platform) -> float | None:
    try:
        return platform.clock().timestamp() - mark.stat().st_mtime
    except FileNotFoundError:
        return None
