"""Who may call: people by one bearer token, trainers by a token of their job (HS256 JWT, keys rotated by kid)."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jwt.types import Options

from api.errors import Forbidden, Unauthorized
from api.settings import Settings

SCOPE = "training-callback"
ALGORITHM = "HS256"

# The times are compared here, with the caller's clock.
_DECODING: Options = {"require": ["sub", "exp", "iat"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}

_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_CACHED_TOKENS = 4096
_USER_CURE = "send 'Authorization: Bearer …' with the token from the file 'token' in the platform's home folder"
_JOB_CURE = "send 'Authorization: Bearer $CALLBACK_TOKEN' as the job's environment gives it"

_bearer = HTTPBearer(auto_error=False, scheme_name="user", description="The token of people and the CLI.")


@dataclass(frozen=True, slots=True)
class JobClaims:
    """What a job's token says: whose it is, and until when (seconds since the epoch)."""

    job_id: str
    attempt: int
    expires_at: float


def require_user(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """FastAPI dependency that lets a person's request through; raises Unauthorized (401) for everything else."""
    settings: Settings = request.app.state.platform.settings
    if credentials is None:
        raise Unauthorized("the request carries no bearer token", cure=_USER_CURE, headers=_CHALLENGE)
    expected = settings.user_token.get_secret_value() if settings.user_token else ""
    same = hmac.compare_digest(credentials.credentials.encode(), expected.encode())
    # An empty setting must lock the door, not open it for an empty token.
    if not expected or not same:
        raise Unauthorized("the bearer token is not this platform's user token", cure=_USER_CURE, headers=_CHALLENGE)


def issue_job_token(
    settings: Settings, job_id: str, attempt: int, expires_at: datetime, *, issued_at: datetime | None = None
) -> str:
    """Returns the token one attempt of a job calls back with, signed by the first of the signing keys."""
    if not settings.signing_keys:
        raise ValueError("no signing key: settings must come from prepare_home() or set TIPHYS_SIGNING_KEYS")
    kid, key = next(iter(settings.signing_keys.items()))
    claims = {
        "sub": job_id,
        "scope": SCOPE,
        "attempt": attempt,
        "iat": int(issued_at.timestamp() if issued_at else time.time()),
        "exp": int(expires_at.timestamp()),
    }
    return jwt.encode(claims, key.get_secret_value(), ALGORITHM, headers={"kid": kid})


def verify_job_token(settings: Settings, token: str, *, now: float) -> JobClaims:
    """Returns a job token's claims; raises Unauthorized (forged, malformed, expired) or Forbidden (other scope).

    Whether it is the token of the job that is spoken of is the caller's to ask: `JobTokens.verify` does.
    """
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = settings.signing_keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise _refused("the job token is signed by an unknown key")
        claims = jwt.decode(token, key.get_secret_value(), algorithms=[ALGORITHM], options=_DECODING)
    except (jwt.InvalidTokenError, ValueError) as error:
        raise _refused("the bearer token is not a valid job token") from error
    job_id, attempt, expires_at = claims["sub"], claims.get("attempt"), claims["exp"]
    if not isinstance(expires_at, int | float) or expires_at <= now:
        raise _refused("the job token has expired")
    if claims.get("scope") != SCOPE:
        raise Forbidden(f"the token's scope is {claims.get('scope')!r}, not {SCOPE!r}", cure=_JOB_CURE)
    if type(attempt) is not int or attempt < 1:
        raise _refused("the job token names no attempt")
    return JobClaims(job_id=job_id, attempt=attempt, expires_at=float(expires_at))


class JobTokens:
    """Verifies job tokens, and remembers those it has verified: a trainer sends the same one thousands of times."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._known: OrderedDict[str, JobClaims] = OrderedDict()

    def verify(self, token: str | None, *, job_id: str) -> JobClaims:
        """Returns the claims of a token of this very job; raises Unauthorized or Forbidden."""
        if not token:
            raise _refused("the request carries no job token")
        now = self._clock()
        claims = self._known.get(token)
        if claims is None:
            claims = verify_job_token(self._settings, token, now=now)
            self._known[token] = claims
            while len(self._known) > _CACHED_TOKENS:
                self._known.popitem(last=False)
        elif claims.expires_at <= now:
            self._known.pop(token, None)
            raise _refused("the job token has expired")
        if claims.job_id != job_id:
            raise _refused(f"the token is not one of job {job_id}")
        return claims


def bearer(authorization: str | None, internal: str | None = None) -> str | None:
    """Returns the token of an `Authorization: Bearer` header, or the bare one of the older `X-Internal-Auth`."""
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return token.strip() or None
    return internal.strip() or None if internal else None


def _refused(message: str) -> Unauthorized:
    return Unauthorized(message, cure=_JOB_CURE, headers=_CHALLENGE)
