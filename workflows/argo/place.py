"""Which namespace of which cluster an engine works in: the same name elsewhere is another place."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from urllib.parse import quote

from workflows.argo.client import Client
from workflows.argo.objects import Named
from workflows.engine import EngineUnavailable

AGAIN_SECONDS = 60.0
"""How old what was read may be: a namespace can be removed and made anew."""
SOON_SECONDS = 5.0
"""When it is asked again after the cluster did not answer."""
FORBIDDEN, MISSING = 403, 404
UNKNOWN = "?"

_log = logging.getLogger(__name__)


class Place:
    """A namespace with its uid, which no other cluster's has."""

    def __init__(self, client: Client, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._cluster = ""
        self._ask_at = float("-inf")

    def __str__(self) -> str:
        """Returns `argo/jobs@<uid>`; `@?` where this account may not read it, nothing while it was not read yet."""
        if self._clock() >= self._ask_at:
            self._ask()
        return f"argo/{self._client.namespace}" + (f"@{self._cluster}" if self._cluster else "")

    def _ask(self) -> None:
        path, what = f"/api/v1/namespaces/{quote(self._client.namespace, safe='')}", "read the jobs' namespace"
        self._ask_at = self._clock() + AGAIN_SECONDS
        try:
            answer = self._client.call("GET", path, what=what, allow=(FORBIDDEN, MISSING))
            if answer.status_code in (FORBIDDEN, MISSING):
                if not self._cluster:
                    _log.warning(
                        "namespace %s cannot be read: that settings lead to another cluster would not be noticed (give "
                        "this account the right to get namespaces there)",
                        self._client.namespace,
                    )
                self._cluster = self._cluster or UNKNOWN
            else:
                self._cluster = self._client.read(answer, Named, what=what).metadata.uid or UNKNOWN
        except EngineUnavailable as error:
            _log.info("which cluster this is will be asked again: %s", error.message)
            self._ask_at = self._clock() + SOON_SECONDS
