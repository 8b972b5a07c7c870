"""A real HTTP server that speaks the platform's side of the contract, keeps what it hears, and can be away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).parents[1] / "contract" / "v1"
Answer = tuple[int, dict[str, str], Any]


def pinned(name: str) -> dict[str, Any]:
    """Returns a document of tests/contract/v1."""
    return json.loads((CONTRACT / f"{name}.json").read_bytes())


def example(name: str, which: str) -> dict[str, Any]:
    """Returns the body of one pinned example."""
    return next(entry["body"] for entry in pinned(name)["examples"] if entry["name"] == which)


@dataclass(frozen=True)
class Heard:
    """One request as it came in."""

    call: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def willing(heard: Heard) -> Answer:
    """Answers as the platform does when all is well."""
    return 200, {}, {"status": "ok", "should_continue": True} if heard.call == "heartbeat" else {"status": "ok"}


class Platform:
    """The server; `answer` decides on each request, `away()` closes the port and `back()` opens the same one."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answer: Callable[[Heard], Answer] = willing
        self.changed = threading.Condition()
        self.port = 0
        self._open: set[Any] = set()
        self.back()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self, call: str) -> list[dict[str, Any]]:
        """Returns the bodies of one kind of call that were answered, in order."""
        return [heard.body for heard in self.heard if heard.call == call]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Waits until a condition on what was heard holds."""
        with self.changed:
            return self.changed.wait_for(condition, timeout=seconds)

    def away(self) -> None:
        """Closes the port and every kept connection."""
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._open):
            connection.close()
        self._thread.join()

    def back(self) -> None:
        """Opens the port."""
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                platform._open.add(self.connection)

            def finish(self) -> None:
                platform._open.discard(self.connection)
                super().finish()

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"]))
                body = json.loads(text, parse_constant=_not_json)
                heard = Heard(self.path.rsplit("/", 1)[1], self.path, dict(self.headers), body)
                status, headers, said = platform.answer(heard)
                with platform.changed:
                    if status < 300:
                        platform.heard.append(heard)
                    platform.changed.notify_all()
                data = json.dumps(said).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                return  # a connection that `away` closed

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def environment(workspace: Path, *, url: str | None, **more: str) -> dict[str, str]:
    """Returns the contract's variables for one job in `workspace` (without a url: a dry run)."""
    store = workspace / "store"
    variables = {
        **pinned("environment")["example"],
        "WORK_DIR": str(workspace),
        "TMP_DIR": str(workspace / "tmp"),
        "DATASET_S3_URI": f"file://{store}/datasets/digits/",
        "CHECKPOINTS_URI": f"file://{store}/checkpoints/test-jobs/job_7k3mqz2x/",
        "LOGS_URI": f"file://{store}/logs/job-7k3mqz2x/",
        "TERMINATION_LOG": str(workspace / "termination-log"),
        "ARGO_PROGRESS_FILE": str(workspace / "progress"),
        "BACKEND_BASE_URL": url or "",
    }
    (workspace / "tmp").mkdir(parents=True, exist_ok=True)
    return {**variables, **more}
