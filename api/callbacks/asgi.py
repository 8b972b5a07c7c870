"""The hot callback, a heartbeat, as bare ASGI: what FastAPI costs a request would be most of its price."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import JobTokens, bearer
from api.callbacks.bodies import BODY_LIMIT, BodyTooLarge, read_heartbeats
from api.callbacks.limits import RateLimit
from api.callbacks.writer import HeartbeatWriter
from api.errors import NotFound, TiphysError, problem
from api.platform import Platform

_PREFIX, _SUFFIX = "/v1/jobs/", "/heartbeat"
_JSON = b"application/json"
_GO_ON = b'{"status":"ok","should_continue":true}'
_STOP = b'{"status":"ok","should_continue":false}'

# Objects between two looks of the garbage collector: a heartbeat in flight is some thirty, alive until the commit.
_GARBAGE = 20_000


class CallbackApp:
    """Answers `POST /v1/jobs/{id}/heartbeat` itself, hands all else on, and holds what the other callbacks share."""

    def __init__(self, platform: Platform, rest: ASGIApp | None = None) -> None:
        self.platform = platform
        self.rest = rest
        self.tokens = JobTokens(platform.settings, clock=lambda: platform.clock().timestamp())
        self.beats = RateLimit(platform.settings.heartbeats_per_second)
        self.events = RateLimit(platform.settings.heartbeats_per_second)
        self.writer = HeartbeatWriter(platform.database, notify=platform.wake.notify)
        self._garbage = gc.get_threshold()

    def install(self, app: FastAPI) -> None:
        """Stand before a FastAPI app, and let its routes find what they share with us at `app.state.callbacks`."""
        app.state.callbacks = self
        app.add_middleware(self._before)

    def startup(self) -> None:
        """Starts the writer; called when the app's lifespan begins."""
        # Else the collector walks all that was imported, 120 000 objects in 70 ms, again and again.
        gc.freeze()
        gc.set_threshold(_GARBAGE, *self._garbage[1:])
        self.writer.start()

    def shutdown(self) -> None:
        """Commits and answers what is queued; called when the app's lifespan ends."""
        self.writer.stop()
        gc.set_threshold(*self._garbage)
        gc.unfreeze()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path: str = scope["path"]
            if path.startswith(_PREFIX) and path.endswith(_SUFFIX):
                job_id = path[len(_PREFIX) : -len(_SUFFIX)]
                if "/" not in job_id:
                    await self._serve(scope, receive, send, job_id)
                    return
        if self.rest is not None:
            await self.rest(scope, receive, send)
        elif scope["type"] == "http":
            await _send_problem(send, NotFound(f"there is nothing at {scope['path']}"))

    async def heartbeat(self, job_id: str, token: str | None, read: Callable[[], Awaitable[bytes]]) -> bool:
        """Returns whether the trainer should go on, once its heartbeat is durable; raises what the contract names."""
        claims = self.tokens.verify(token, job_id=job_id)
        received_at = self.platform.clock()
        beats = read_heartbeats(await read())
        self.beats.take(job_id, count=len(beats))
        return await self.writer.submit(claims, beats, received_at=received_at)

    def _before(self, app: ASGIApp) -> ASGIApp:
        self.rest = app
        return self

    async def _serve(self, scope: Scope, receive: Receive, send: Send, job_id: str) -> None:
        authorization = internal = None
        declared = 0
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value.decode("latin-1")
            elif name == b"x-internal-auth":
                internal = value.decode("latin-1")
            elif name == b"content-length" and value.isdigit():
                declared = int(value)
        try:
            go_on = await self.heartbeat(job_id, bearer(authorization, internal), lambda: _body(receive, declared))
        except _Gone:
            return
        except TiphysError as error:
            await _send_problem(send, error)
        else:
            await _send(send, 200, _GO_ON if go_on else _STOP, _JSON)


class _Gone(Exception):
    """The client went away before its body was read."""


async def _body(receive: Receive, declared: int) -> bytes:
    if declared > BODY_LIMIT:
        raise too_large()
    message = await receive()
    body: bytes = message.get("body", b"")
    while message["type"] == "http.request" and message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            raise too_large()
    if message["type"] == "http.disconnect":
        raise _Gone
    if len(body) > BODY_LIMIT:
        raise too_large()
    return body


def too_large(limit: int = BODY_LIMIT) -> BodyTooLarge:
    """Returns the 413 of a callback longer than `limit` bytes."""
    return BodyTooLarge(
        f"the body is longer than {limit // 1024} KB",
        cure="send fewer heartbeats or less data in one body",
    )


async def _send_problem(send: Send, error: TiphysError) -> None:
    await _send(send, error.status, msgspec.json.encode(problem(error)), b"application/problem+json", error.headers)


async def _send(
    send: Send, status: int, body: bytes, content_type: bytes, headers: Mapping[str, str] | None = None
) -> None:
    raw = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    for name, value in (headers or {}).items():
        raw.append((name.lower().encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
