"""Limits the size of request bodies, and reads a mapping from JSON or YAML."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BadRequest, Invalid, TiphysError
from workflows.jobfile import read_job

MOST_BYTES = 1 << 20
"""The largest body of an ordinary request."""
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")


class UnsupportedMediaType(TiphysError):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"


class BodyLimit:
    """ASGI middleware: a body that is larger than `most` bytes is refused with 413, however it is sent.

    Addresses that begin with one of `free` are let through: who takes uploads counts for itself.
    """

    def __init__(self, app: ASGIApp, *, most: int = MOST_BYTES, free: tuple[str, ...] = ()) -> None:
        self.app = app
        self.most = most
        self.free = free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self.free):
            return await self.app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "")
        # What is announced too large is refused before it is sent; a server has checked that it is a number.
        too_large = declared.isdigit() and int(declared) > self.most
        got = 0

        async def counted() -> Message:
            nonlocal got
            if too_large:
                raise self._refusal()
            message = await receive()
            got += len(message.get("body", b""))
            if got > self.most:
                raise self._refusal()
            return message

        return await self.app(scope, counted, send)

    def _refusal(self) -> HTTPException:
        # An HTTPException because FastAPI turns any other error met while it reads a body into its own.
        return HTTPException(413, f"the body is larger than {self.most >> 10} KiB")


async def mapping_of(request: Request) -> dict[str, Any]:
    """FastAPI dependency: the request's body, JSON or by its Content-Type YAML, as a mapping.

    Raises:
        BadRequest: it is no JSON. Invalid: it is no mapping, or holds half a character.
        UnsupportedMediaType: it is neither JSON nor YAML.
        SpecError: it is no YAML.
    """
    value = _read(request, await request.body())
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        # No answer could tell of it: every list that such a record is in would fail.
        raise Invalid("a text in the body holds half a surrogate pair", cure="send whole characters") from error
    return value


def _read(request: Request, body: bytes) -> dict[str, Any]:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind in YAML_TYPES:
        try:
            return read_job(body.decode())
        except UnicodeDecodeError as error:
            raise BadRequest(f"the body is not UTF-8: {error}", cure="send it as UTF-8") from error
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType(
            f"a body of type {kind!r} is not understood", cure="send Content-Type application/json or application/yaml"
        )
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}", cure="send one JSON object") from error
    if not isinstance(value, dict):
        raise Invalid(f"the body is a JSON {type(value).__name__}, not an object", cure="send one JSON object")
    return value
