"""One error tree: code, message, HTTP status and cure; rendered once, as problem+json (RFC 9457)."""

from __future__ import annotations

import errno
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from workflows.spec import SpecError

log = logging.getLogger(__name__)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SOON = {"Retry-After": "2"}


class TiphysError(Exception):
    """Something a user can act on: `code` is stable, `cure` says what to do."""

    code = "error"
    status = 500
    title = "Error"

    def __init__(self, message: str, *, cure: str = "", headers: dict[str, str] | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.headers = headers or {}
        self.extra = extra


class BadRequest(TiphysError):
    code, status, title = "bad_request", 400, "Bad request"


class TraceMismatch(BadRequest):
    code = "trace_mismatch"


class Unauthorized(TiphysError):
    code, status, title = "unauthorized", 401, "Unauthorized"


class Forbidden(TiphysError):
    code, status, title = "forbidden", 403, "Forbidden"


class NotFound(TiphysError):
    code, status, title = "not_found", 404, "Not found"


class Conflict(TiphysError):
    code, status, title = "conflict", 409, "Conflict"


class IllegalMove(Conflict):
    """A state change that the state machine does not allow."""

    code = "illegal_move"


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"


class Invalid(TiphysError):
    """Input that was read and understood, and is wrong."""

    code, status, title = "invalid", 422, "Invalid input"


class TooMany(TiphysError):
    code, status, title = "too_many_requests", 429, "Too many requests"


class Unavailable(TiphysError):
    code, status, title = "unavailable", 503, "Unavailable"


class StorageFull(TiphysError):
    code, status, title = "disk_full", 507, "Insufficient storage"


def problem(error: TiphysError) -> dict[str, Any]:
    """The problem+json body of an error."""
    body: dict[str, Any] = {
        "type": f"urn:tiphys:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.message,
    }
    if error.cure:
        body["cure"] = error.cure
    return body | error.extra


def render(error: TiphysError) -> JSONResponse:
    """Turn an error into its HTTP answer."""
    return JSONResponse(
        problem(error), error.status, headers=error.headers or None, media_type="application/problem+json"
    )


def from_spec_error(error: SpecError) -> Invalid:
    """The API's form of a job that was described wrongly: every field at once."""
    fields = [{"field": p.field, "message": p.message, "cure": p.cure} for p in error.problems]
    return Invalid(str(error), errors=fields)


def from_failure(error: Exception) -> TiphysError:
    """The 507 of a full disk, or the 503 of a database or file system that cannot take it now; nothing was stored."""
    text = str(getattr(error, "orig", None) or error).lower()
    if getattr(error, "errno", None) in FULL or "is full" in text or "no space left" in text:
        cure = "free space on the disk of the home folder, then try again"
        return StorageFull("the platform's disk is full: nothing was stored", cure=cure, headers=SOON)
    return Unavailable("the records could not be written: nothing was stored", cure="try again", headers=SOON)


def install(app: FastAPI) -> None:
    """Render the whole tree, and what FastAPI itself raises, in one form."""

    async def tiphys_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, TiphysError)
        return render(error)

    async def spec_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SpecError)
        return render(from_spec_error(error))

    async def validation_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        fields = [{"field": ".".join(str(p) for p in e["loc"]), "message": e["msg"]} for e in error.errors()]
        text = "; ".join(f"{f['field']}: {f['message']}" for f in fields)
        return render(Invalid(text, errors=fields))

    async def http_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        known = {400: BadRequest, 401: Unauthorized, 403: Forbidden, 404: NotFound}.get(error.status_code)
        made = known(str(error.detail)) if known else TiphysError(str(error.detail))
        if not known:
            made.status, made.code, made.title = error.status_code, f"http_{error.status_code}", str(error.detail)
        return render(made)

    async def failure(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s: %s", request.method, request.url.path, error)
        return render(from_failure(error))

    app.add_exception_handler(TiphysError, tiphys_error)
    app.add_exception_handler(OperationalError, failure)
    app.add_exception_handler(OSError, failure)
    app.add_exception_handler(SpecError, spec_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
