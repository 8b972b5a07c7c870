"""Stands between an engine and an API server, a real one or its twin, and lets go wrong what can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from tests.workflows.argo.fake import Answer, Behaviour, Request, refused

Fault = Callable[[Behaviour, Request], Answer]


def fine(inner: Behaviour, request: Request) -> Answer:
    """Nothing goes wrong."""
    return inner(request)


def lost(inner: Behaviour, request: Request) -> Answer:
    """It is done, and the answer never arrives."""
    if "watch" not in request.query:
        inner(request)
    return Answer(hang_up=True)


def torn(inner: Behaviour, request: Request) -> Answer:
    """It is done, and the answer breaks off in its middle."""
    if "watch" not in request.query:
        inner(request)
    return Answer(pieces=[b'{"kind": "Wor'], cut=True)


def _instead(answer: Callable[[], Answer]) -> Fault:
    return lambda _, __: answer()


FAULTS: dict[str, Fault] = {
    "fine": fine,
    "lost": lost,
    "torn": torn,
    "away": _instead(lambda: Answer(hang_up=True)),
    "busy": _instead(lambda: refused(429, "too many requests, please try again later", retry_after=1)),
    "broken": _instead(lambda: refused(500, "etcdserver: leader changed")),
    "overloaded": _instead(lambda: Answer(503, b"<html><h1>503 Service Unavailable</h1></html>")),
    "login page": _instead(lambda: Answer(302, b"", headers={"Location": "https://sso.example/login?next=%2F"})),
    "captive portal": _instead(lambda: Answer(200, b"<html>Welcome to the guest network</html>")),
    "expired token": _instead(lambda: refused(401, "Unauthorized", "Unauthorized")),
    "no rights": _instead(lambda: refused(403, 'workflows.argoproj.io is forbidden: User "x" cannot', "Forbidden")),
    "no quota": _instead(lambda: refused(403, "exceeded quota: few, used: count/workflows=1", "Forbidden")),
    "no Argo": _instead(lambda: Answer(404, b"404 page not found\n")),
}
SAID = {
    "lost": "does not answer",
    "torn": "does not answer",
    "away": "does not answer",
    "busy": "is busy",
    "broken": "etcdserver: leader changed",
    "overloaded": "Service Unavailable",
    "login page": "leads to https://sso.example/login instead",
    "captive portal": "answered something else than was asked for",
    "expired token": "renew it",
    "no rights": "give this account the role it needs",
    "no quota": "quota is used up",
    "no Argo": "install Argo Workflows",
}
"""Words of the message that each fault has to lead to."""


class Faulty:
    """A behaviour with faults: `coming` are used up one by one, then `always` holds."""

    def __init__(self, inner: Behaviour) -> None:
        self.inner = inner
        self.coming: list[str] = []
        self.always = "fine"
        self.only: Callable[[Request], bool] = lambda _: True
        self.watch: Callable[[Iterable[bytes]], Iterator[bytes]] | None = None
        """What a watch's lines become; its end is a cut then."""
        self.made: list[str] = []

    def __call__(self, request: Request) -> Answer:
        name = "fine"
        if self.only(request):
            name = self.coming.pop(0) if self.coming else self.always
        answer = FAULTS[name](self._noting, request)
        if "watch" in request.query and answer.pieces is not None and self.watch is not None:
            return Answer(answer.code, pieces=self.watch(answer.pieces), cut=True)
        return answer

    def mend(self) -> None:
        """Lets nothing go wrong any more."""
        self.coming, self.always, self.watch, self.only = [], "fine", None, lambda _: True

    def _noting(self, request: Request) -> Answer:
        answer = self.inner(request)
        if request.method == "POST" and answer.code in (200, 201) and request.path.endswith("/workflows"):
            self.made.append(request.body["metadata"]["name"])
        return answer


def cut_after(lines: int) -> Callable[[Iterable[bytes]], Iterator[bytes]]:
    """Cuts a watch after so many lines."""
    return lambda pieces: islice(pieces, lines)


def twice(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Tells every line of a watch twice."""
    for piece in pieces:
        yield piece
        yield piece


def half(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Tears a watch within its second line."""
    for number, piece in enumerate(pieces):
        if number:
            yield piece[: len(piece) // 2]
            return
        yield piece


def talks_nonsense(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Answers a watch with a page."""
    yield b"<html>\n<h1>Welcome</h1>\n"
