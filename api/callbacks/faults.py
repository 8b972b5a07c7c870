"""What a trainer is told when the database cannot take its callback: a status it knows to try again on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from api.errors import StorageFull, TiphysError, Unavailable

log = logging.getLogger(__name__)

_SOON = {"Retry-After": "2"}


def as_answer(error: Exception) -> TiphysError:
    """Returns the 507 of a full disk, or the 503 of everything else."""
    text = _text(error)
    if "disk is full" in text or "no space left" in text or "disk full" in text:
        return StorageFull(
            "the platform's disk is full: nothing was stored", cure="free space, then try again", headers=_SOON
        )
    return Unavailable("the database could not take it: nothing was stored", cure="try again", headers=_SOON)


def is_busy(error: Exception) -> bool:
    """Tells whether another process held the database for too long."""
    text = _text(error)
    return "locked" in text or "busy" in text


def not_running() -> Unavailable:
    """Returns the 503 of a platform that is starting or stopping."""
    return Unavailable("the platform is starting or stopping", cure="try again", headers=_SOON)


@contextmanager
def told_to_trainer() -> Iterator[None]:
    """Turns a database's failure into what the trainer is told; the cause goes to our log."""
    try:
        yield
    except DBAPIError as error:
        log.error("a callback could not be stored: %s", error)
        raise as_answer(error) from error


def _text(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).lower()
