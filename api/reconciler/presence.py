"""Knows since when the API could have heard every trainer, so that nobody is called silent who was not heard."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from api.settings import Settings

LOOK_EVERY = timedelta(seconds=5)
ASLEEP_AFTER = timedelta(seconds=60)
"""Without a look for so long, this machine may have slept, and with it trainers and API."""


class Presence:
    """The API's presence as sampled by this process; what happened before its start counts as absence."""

    def __init__(self, answers: Callable[[], bool], *, started: datetime) -> None:
        self._answers = answers
        self._looked: datetime | None = None
        self.last_absent = started

    def look(self, now: datetime) -> None:
        """Asks the API whether it is there, at most every few seconds."""
        if self._looked is not None and now - self._looked < LOOK_EVERY:
            return
        slept = self._looked is not None and now - self._looked > ASLEEP_AFTER
        self._looked = now
        if slept or not self._answers():
            self.last_absent = now


def api_answers(settings: Settings, *, timeout: float = 2.0) -> bool:
    """Asks the API over HTTP whether it and its database are there; only its own word counts, within `timeout`."""
    address = urlsplit(_url(settings))
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.hostname or "127.0.0.1", address.port, timeout=timeout)
    try:
        # Whether it could have kept a heartbeat, not whether it lives; a proxy before it answers other than so.
        connection.request("GET", f"{address.path.rstrip('/')}/ready?check=database")
        answer = connection.getresponse()
        return answer.status == 200 and b'"checks"' in answer.read(65536)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _url(settings: Settings) -> str:
    """The API's own address: where it says it listens, else where it is reached from outside."""
    try:
        return str(json.loads((settings.resolved_home() / "api.json").read_text())["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return settings.api_url()
