"""What PostgreSQL needs to be told: the driver, how long to wait for it, and which characters it does not take."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

DRIVER = "postgresql+psycopg"
IDLE_SECONDS = 10.0
"""How long a transaction may lie idle: a process that stands still must not hold a job's row for ever."""

# A server that is gone without a word is given up within seconds; each may be set in the URL's query instead.
_CONNECT = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "application_name": "tiphys",
}
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

# SQLSTATE classes: connection lost, out of resources, stopped by an operator.
_AWAY = ("08", "53", "57P")
_AGAIN = ("40",)


class DatabaseUnusable(ValueError):
    """The database cannot be used as it is set up; the text names the thing and the cure."""


def understood(text: str) -> URL:
    """Returns a database's URL with the driver we have; raises DatabaseUnusable for what is neither of the two."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Not shown: it may hold a password.
        raise DatabaseUnusable(
            "TIPHYS_DATABASE_URL is no URL: write postgresql://user:password@host:5432/name; "
            "special characters in the password are %-escaped"
        ) from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        return url
    if kind not in ("postgresql", "postgres"):
        raise DatabaseUnusable(f"TIPHYS_DATABASE_URL names {kind}: use postgresql://… or leave it out for SQLite")
    return url.set(drivername=DRIVER)


def open_engine(url: URL, *, connections: int, idle_seconds: float) -> Engine:
    """Returns the engine; nothing is reached yet. Raises DatabaseUnusable where the driver is missing."""
    kept = min(5, connections)
    try:
        engine = create_engine(
            url,
            connect_args={name: value for name, value in _CONNECT.items() if name not in url.query},
            pool_pre_ping=True,
            pool_recycle=1800,
            pool_timeout=10,
            pool_size=kept,
            max_overflow=connections - kept,
            json_serializer=as_json,
        )
    except ImportError as error:
        raise DatabaseUnusable(f"PostgreSQL needs psycopg ({error}): install tiphys[postgres]") from error

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.adapters.register_dumper(str, _text_dumper())
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {int(idle_seconds * 1000)}")
            cursor.execute("SET timezone = 'UTC'")
        connection.commit()

    return engine


def as_json(value: Any) -> str:
    """Returns a value as JSON that PostgreSQL takes."""
    return without_nul(json.dumps(value))


def without_nul(text: str) -> str:
    """Returns JSON text with a replacement in place of each NUL character, which no text in PostgreSQL may hold."""
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def is_away(error: BaseException) -> bool:
    """Tells whether the server could not be reached, or sent us away: the next statement would fare no better."""
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or (state is None and _is_psycopg(error)) or _begins(state, _AWAY)


def is_worth_another_try(error: BaseException) -> bool:
    """Tells whether the same transaction may go through now: it lost its connection, or another one stood in its way.

    A connection that is lost at the commit leaves open whether it was done: only what is harmless twice is tried again.
    """
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or _begins(getattr(error.orig, "sqlstate", None), _AGAIN)


def told(error: BaseException) -> str:
    """Returns a driver's complaint in one line, without the SQL."""
    text = str(getattr(error, "orig", None) or error)
    return " ".join(text.split())


def _begins(state: str | None, classes: tuple[str, ...]) -> bool:
    return state is not None and state.startswith(classes)


def _is_psycopg(error: DBAPIError) -> bool:
    return type(error.orig).__module__.startswith("psycopg") and type(error.orig).__name__ == "OperationalError"


def _text_dumper() -> Any:
    from psycopg.types.string import StrDumperUnknown

    class Dumper(StrDumperUnknown):
        """Texts as they are, but for the one character that no text in PostgreSQL may hold."""

        def dump(self, obj: str) -> Any:
            return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)

    return Dumper
