"""Where a cluster's API is, how it is trusted, and the token that is shown to it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

RE_READ_SECONDS = 60.0
"""How old a token may be that was read from a file: the kubelet writes it anew before it expires."""

Token = Callable[[], str | None]


class AccessError(Exception):
    """No way into a cluster is known, or the one given cannot be used; the text says what to set."""


@dataclass(frozen=True)
class Access:
    """A cluster's API: its address, how to trust it, and the token to show, asked for at each call."""

    url: str
    namespace: str
    token: Token = field(default=lambda: None, repr=False)
    tls: ssl.SSLContext | bool = True
    renew: Callable[[], None] = field(default=lambda: None, repr=False)
    """Forgets a token that was refused, so that the next call reads it anew."""
    proxy: str | None = None
    server_name: str | None = None
    """The name the server's certificate has to bear, where the address is another."""


def bearer(token: str | None) -> dict[str, str]:
    """Returns the header that shows a token; raises AccessError, without the token in its words, where none fits."""
    if token is None:
        return {}
    token = token.strip().removeprefix("Bearer ").strip()
    # What a header cannot carry would be quoted in the library's error, and so in a log.
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise AccessError("the token for the cluster is empty or holds characters no token has: set it anew")
    return {"Authorization": f"Bearer {token}"}


class FileToken:
    """A token kept in a file that somebody else renews."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._value: str | None = None
        self._read_at = 0.0

    def __call__(self) -> str | None:
        """Returns the token as the file had it at most a minute ago."""
        now = self._clock()
        # By a name of its own: another thread may forget the token meanwhile, and no token is nobody's token.
        value = self._value
        if value is None or now - self._read_at >= RE_READ_SECONDS:
            try:
                value = self._path.read_text().strip()
            except OSError as error:
                raise AccessError(f"the token {self._path} cannot be read: {error.strerror}") from None
            except UnicodeDecodeError:
                value = ""
            # Somebody may be writing it at this moment: it is read again at the next call.
            if not value:
                raise AccessError(f"the token file {self._path} holds no token")
            self._value, self._read_at = value, now
        return value

    def forget(self) -> None:
        """Reads the file anew at the next call."""
        self._value = None
