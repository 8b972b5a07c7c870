"""An S3 service that counts its requests and fails as it is told: cut transfers, damaged bytes, errors, long waits."""

import contextlib
import hashlib
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Faulty:
    """The service; `objects` are its bytes by key, `faults` what happens to the next requests for a key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.encrypted: set[str] = set()
        self.faults: defaultdict[str, list[str]] = defaultdict(list)
        self.requests: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.sent = 0
        self.waiting, self.go_on = threading.Semaphore(0), threading.Event()
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"service": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that was killed hangs up

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """Gives the variables by which a step reaches it."""
        keys = {"MINIO_ACCESS_KEY": "test-access", "MINIO_SECRET_KEY": "test-secret"}
        return {"STORAGE_TYPE": "minio", "MINIO_ENDPOINT": self.endpoint, **keys}

    def etag(self, key: str) -> str:
        """Gives an object's ETag: its MD5 where nothing else was said."""
        return self.etags.get(key) or hashlib.md5(self.objects[key]).hexdigest()

    def gets(self) -> int:
        """Counts the objects that were asked for."""
        return sum(count for what, count in self.requests.items() if what.startswith("GET "))


@contextlib.contextmanager
def serving() -> Iterator[Faulty]:
    """Serves until the block ends."""
    service = Faulty()
    thread = threading.Thread(target=service.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.go_on.set()
        service.server.shutdown()
        service.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    service: Faulty
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        """Answers what an object is."""
        self._object("HEAD")

    def do_GET(self) -> None:
        """Answers a listing or an object."""
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if "list-type" in query:
            self._note("LIST", url.path)
            self._list(query.get("prefix", [""])[0])
        else:
            self._object("GET")

    def _note(self, what: str, path: str) -> None:
        with self.service.lock:
            self.service.requests[f"{what} {unquote(path)}"] += 1
            self.service.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.service.paths.append(path)

    def _list(self, prefix: str) -> None:
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self.service.etag(key)}&quot;</ETag><Size>{len(body)}</Size></Contents>"
            for key, body in sorted(self.service.objects.items())
            if key.startswith(prefix)
        )
        text = f"<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"
        self._answer(200, text.encode(), {"Content-Type": "application/xml"})

    def _object(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        key = path.removeprefix("/bucket/")
        self._note(method, path)
        service = self.service
        with service.lock:
            fault = service.faults[key].pop(0) if method == "GET" and service.faults[key] else ""
        if fault == "wait":
            service.waiting.release()
            service.go_on.wait(60)
        if key not in service.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", {})
            return
        if fault.isdigit():
            self._answer(int(fault), b"<Error><Code>Wrong</Code><Message>on purpose</Message></Error>", {})
            return
        body = service.objects[key]
        headers = {"ETag": f'"{service.etag(key)}"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        if key in service.encrypted:
            headers["x-amz-server-side-encryption"] = "aws:kms"
        status, span = 200, self.headers.get("Range")
        if span:
            first, _, last = span.removeprefix("bytes=").partition("-")
            end = min(int(last) + 1 if last else len(body), len(body))
            headers["Content-Range"] = f"bytes {first}-{end - 1}/{len(body)}"
            status, body = 206, body[int(first) : end]
        if fault == "damage":
            body = bytes([body[0] ^ 1]) + body[1:]
        self._answer(status, body, headers, cut=fault == "cut", headless=method == "HEAD")

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False, headless: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if headless:
            return
        self.wfile.write(body[: len(body) // 2] if cut else body)
        with self.service.lock:
            self.service.sent += len(body)
        if cut:
            self.close_connection = True
