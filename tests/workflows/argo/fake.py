"""A Kubernetes API over real HTTP that does what a test tells it: what only a broken cluster would answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def deed(self) -> str:
        """Method and last part of the path: `GET train-x-1`."""
        return f"{self.method} {self.path.rsplit('/', 1)[-1]}"


@dataclass
class Answer:
    """What is answered: JSON or bytes; `pieces` come one by one, then the connection is cut or ended."""

    code: int = 200
    body: Any = None
    pieces: Iterable[bytes] | None = None
    cut: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    """Waited for before the answer ends."""
    hang_up: bool = False
    """Nothing is answered: the connection is closed."""


def refused(code: int, message: str, reason: str = "", *, retry_after: int | None = None) -> Answer:
    """Kubernetes' own way to say no."""
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return Answer(code, body, headers={} if retry_after is None else {"Retry-After": str(retry_after)})


Behaviour = Callable[[Request], Answer]


@dataclass
class Api:
    """The server: its address, what it was asked, and how it answers."""

    behave: Behaviour
    asked: list[Request] = field(default_factory=list)
    url: str = ""

    @property
    def deeds(self) -> list[str]:
        """What was asked, in order."""
        return [request.deed for request in self.asked]


@contextmanager
def serving(behave: Behaviour) -> Iterator[Api]:
    """Serves on a free port of this machine."""
    api = Api(behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement

        def _do(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(
                self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers), json.loads(raw or b"null")
            )
            api.asked.append(request)
            answer = api.behave(request)
            # Who asked may have gone meanwhile.
            with suppress(BrokenPipeError, ConnectionResetError):
                if answer.hang_up:
                    self.close_connection = True
                elif answer.pieces is None:
                    self._whole(answer)
                else:
                    self._stream(answer)

        do_GET = do_POST = do_PATCH = do_DELETE = _do

        def _whole(self, answer: Answer) -> None:
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.code)
            self._say(answer)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, answer: Answer) -> None:
            self.send_response(answer.code)
            self._say(answer)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in answer.pieces or ():
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                self.wfile.flush()
            if answer.hold is not None:
                answer.hold.wait(10)
            if answer.cut:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

        def _say(self, answer: Answer) -> None:
            for name, value in answer.headers.items():
                self.send_header(name, value)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
