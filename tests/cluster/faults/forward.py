"""Hands every request on to a real API server, and its answer back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import httpx

from tests.workflows.argo.fake import Answer, Request
from workflows.argo.access import Access

PASSED = ("Authorization", "Content-Type", "Accept")


class Forward:
    """A behaviour that a real API server has."""

    def __init__(self, access: Access) -> None:
        self._http = httpx.Client(base_url=access.url, verify=access.tls, timeout=30, trust_env=False)

    def close(self) -> None:
        """Ends all connections, and with them the watches."""
        self._http.close()

    def __call__(self, request: Request) -> Answer:
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        content = None if request.body is None else json.dumps(request.body).encode()
        asked = self._http.build_request(
            request.method, request.path, params=request.query, content=content, headers=headers
        )
        answer = self._http.send(asked, stream=True)
        if "watch" in request.query and answer.status_code == httpx.codes.OK:
            return Answer(answer.status_code, pieces=_pieces(answer))
        body = answer.read()
        answer.close()
        passed = {k: v for k, v in answer.headers.items() if k in ("retry-after", "location")}
        return Answer(answer.status_code, body, headers=passed)


def _pieces(answer: httpx.Response) -> Iterator[bytes]:
    with answer, suppress(httpx.HTTPError, httpx.StreamError):
        for line in answer.iter_lines():
            yield line.encode() + b"\n"
