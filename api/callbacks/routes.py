"""The callbacks as FastAPI knows and documents them; `heartbeat` is usually answered before it gets here."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.security import HTTPBearer
from starlette.concurrency import run_in_threadpool

from api.auth import JobClaims, bearer
from api.callbacks.asgi import CallbackApp, too_large
from api.callbacks.bodies import BODY_LIMIT
from api.callbacks.openapi import DONE_BODY, EVENT_BODY, HEARTBEAT_BODY
from api.callbacks.schemas import read_done, read_event
from api.callbacks.service import record_done, record_event

# The snapshot of a large dataset lists every image once.
EVENT_LIMIT = 16 * 1024 * 1024
"""Bytes an event may be long."""

_OK = {"status": "ok"}
_job_token = HTTPBearer(auto_error=False, scheme_name="job", description="A job's CALLBACK_TOKEN.")

router = APIRouter(prefix="/v1/jobs", tags=["callbacks"], dependencies=[Depends(_job_token)])


def callbacks_of(request: Request) -> CallbackApp:
    """FastAPI dependency: what the callbacks share."""
    callbacks: CallbackApp = request.app.state.callbacks
    return callbacks


def claims_of(request: Request, job_id: str) -> JobClaims:
    """FastAPI dependency: the claims of a token of the very job the path names; raises Unauthorized or Forbidden."""
    headers = request.headers
    token = bearer(headers.get("authorization"), headers.get("x-internal-auth"))
    return callbacks_of(request).tokens.verify(token, job_id=job_id)


CallbacksOf = Annotated[CallbackApp, Depends(callbacks_of)]
ClaimsOf = Annotated[JobClaims, Depends(claims_of)]


async def body_of(request: Request, *, limit: int = BODY_LIMIT) -> bytes:
    """Returns a request's body; raises BodyTooLarge as soon as it is longer than `limit` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


@router.post("/{job_id}/heartbeat", openapi_extra=HEARTBEAT_BODY)
async def heartbeat(job_id: str, request: Request, callbacks: CallbacksOf) -> dict[str, Any]:
    """Say that training is alive, and how far it is; the answer says whether to go on."""
    token = bearer(request.headers.get("authorization"), request.headers.get("x-internal-auth"))
    go_on = await callbacks.heartbeat(job_id, token, lambda: body_of(request))
    return _OK | {"should_continue": go_on}


@router.post("/{job_id}/event", openapi_extra=EVENT_BODY)
async def event(
    request: Request,
    claims: ClaimsOf,
    callbacks: CallbacksOf,
    idempotency_key: Annotated[str | None, Header(max_length=1024)] = None,
) -> dict[str, str]:
    """Tell that something happened; told twice it is recorded once."""
    told = read_event(await body_of(request, limit=EVENT_LIMIT))
    callbacks.events.take(claims.job_id)
    await run_in_threadpool(record_event, callbacks.platform, claims, told, idempotency_key=idempotency_key)
    return _OK


@router.post("/{job_id}/done", openapi_extra=DONE_BODY)
async def done(request: Request, claims: ClaimsOf, callbacks: CallbacksOf) -> dict[str, str]:
    """Tell how training ended; the first one of an attempt counts."""
    told = read_done(await body_of(request, limit=EVENT_LIMIT))
    await run_in_threadpool(record_done, callbacks.platform, claims, told)
    return _OK
