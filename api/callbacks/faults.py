"""What a trainer is told when the database cannot take its callback: a status it knows to try again on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from api.errors import SOON, Unavailable, from_failure
from api.postgres import is_away

log = logging.getLogger(__name__)


def is_busy(error: Exception) -> bool:
    """Tells whether another process held the database for too long, or it cannot be reached at all."""
    text = _text(error)
    return is_away(error) or "locked" in text or "busy" in text


def not_running() -> Unavailable:
    """Returns the 503 of a platform that is starting or stopping."""
    return Unavailable("the platform is starting or stopping", cure="try again", headers=SOON)


@contextmanager
def told_to_trainer() -> Iterator[None]:
    """Turns a database's failure into what the trainer is told; the cause goes to our log."""
    try:
        yield
    except DBAPIError as error:
        log.error("a callback could not be stored: %s", error)
        raise from_failure(error) from error


def _text(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).lower()
