"""Speaks HTTP to a cluster's API: one call, its answer or an engine error, and streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from workflows.argo.access import Access, AccessError, bearer
from workflows.argo.faults import fault, names_object, silent
from workflows.argo.holdoff import Holdoff
from workflows.engine import EngineRefused, EngineUnavailable

# Plain HTTP and not the `kubernetes` package: four kinds of objects are touched, a fixed number of calls; the package
# costs 20 MB and half a second at start, reads a list of workflows with seven times the memory, and re-reads no token
# in a watch.

TIMEOUT = httpx.Timeout(20.0, connect=5.0)
WHOLE_SECONDS = 60.0
"""How long an answer may take to its last byte: one that comes byte by byte never runs into the timeout between two."""
MERGE = "application/merge-patch+json"
WHO = "the Kubernetes API"

_Query = Mapping[str, str]
_T = TypeVar("_T")


class Client:
    """A cluster's API, safe to use from several threads."""

    def __init__(
        self,
        access: Access,
        *,
        who: str = WHO,
        clock: Callable[[], float] = time.monotonic,
        whole: float = WHOLE_SECONDS,
        trust_env: bool = False,
    ) -> None:
        self.access = access
        self.namespace = access.namespace
        self.who = f"{who} at {access.url}"
        self._clock = clock
        self._whole = whole
        self._holdoff = Holdoff(clock=clock)
        # A platform takes nothing of its environment: a proxy meant for the internet is none for the cluster.
        self._http = httpx.Client(
            base_url=access.url,
            # Reading all of the system's authorities takes longer than most calls.
            verify=access.tls if access.url.startswith("https:") else False,
            timeout=TIMEOUT,
            proxy=access.proxy,
            trust_env=trust_env,
            # Uncompressed: unpacking costs both sides more than a cluster's network does.
            headers={"User-Agent": "tiphys", "Accept": "application/json, */*", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        """Ends all connections."""
        self._http.close()

    def workflows(self, name: str = "") -> str:
        """Returns the path of the namespace's workflows, or of one."""
        return f"/apis/argoproj.io/v1alpha1/namespaces/{quote(self.namespace)}/workflows" + _one(name)

    def pods(self, name: str = "") -> str:
        """Returns the path of the namespace's pods, or of one."""
        return f"/api/v1/namespaces/{quote(self.namespace)}/pods" + _one(name)

    def secrets(self, name: str = "") -> str:
        """Returns the path of the namespace's secrets, or of one."""
        return f"/api/v1/namespaces/{quote(self.namespace)}/secrets" + _one(name)

    def call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        body: Any = None,
        query: _Query | None = None,
        kind: str = "application/json",
        allow: tuple[int, ...] = (),
        accept: str = "application/json",
        absent: str = "",
        final: bool = False,
    ) -> httpx.Response:
        """Does one call; answers with a code in `allow` are handed back like successes.

        So is a 404 that says there is no object of the name `absent`: a cluster without such objects at all, or a wrong
        address, says 404, too. Raises EngineUnavailable with `what` in its words; with `final`, EngineRefused for what
        will never be taken.
        """
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Accept": accept} | ({} if content is None else {"Content-Type": kind})
        asked = {"method": method, "url": path, "params": query, "content": content}
        try:
            with ExitStack() as opened:
                answer = self._collected(self._open(opened, asked, headers, what=what))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise silent(error, who=self.who, what=what) from None
        if answer.is_success or answer.status_code in allow or (absent and names_object(answer, absent)):
            return answer
        raise self._fault(answer, what=what, final=final)

    @contextmanager
    def stream(
        self, path: str, *, what: str, query: _Query, read_timeout: float, allow: tuple[int, ...] = ()
    ) -> Iterator[httpx.Response]:
        """Opens an answer that is read piece by piece; what breaks on the way is EngineUnavailable, too."""
        asked = {"method": "GET", "url": path, "params": query}
        timeout = httpx.Timeout(TIMEOUT.connect, read=read_timeout)
        try:
            with ExitStack() as opened:
                answer = self._open(opened, {**asked, "timeout": timeout}, {}, what=what)
                if not (answer.is_success or answer.status_code in allow):
                    raise self._fault(self._collected(answer), what=what, final=False)
                yield answer
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise silent(error, who=self.who, what=what) from None

    def read(self, answer: httpx.Response, kind: type[_T], *, what: str) -> _T:
        """Decodes an answer; one that is something else (a login page, a captive portal) is EngineUnavailable."""
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise EngineUnavailable(
                f"{self.who} answered something else than was asked for ({what}): check the address, and what stands "
                "between"
            ) from None

    def _open(
        self, opened: ExitStack, asked: Mapping[str, Any], headers: Mapping[str, str], *, what: str
    ) -> httpx.Response:
        self._holdoff.check(who=self.who, what=what)
        for again in (True, False):
            request = self._http.build_request(**asked, headers={**headers, **self._bearer()})
            if self.access.server_name:
                request.extensions["sni_hostname"] = self.access.server_name
            answer = self._http.send(request, stream=True)
            # A token that was renewed a moment ago may not have been read yet.
            if answer.status_code == 401 and again:
                answer.close()
                self.access.renew()
                continue
            break
        opened.callback(answer.close)
        return answer

    def _collected(self, answer: httpx.Response) -> httpx.Response:
        """Returns a whole answer, unless its end does not come."""
        content, until = bytearray(), self._clock() + self._whole
        for piece in answer.iter_raw():
            content += piece
            if self._clock() > until:
                raise httpx.ReadTimeout("the answer does not end")
        return httpx.Response(answer.status_code, headers=answer.headers, content=bytes(content))

    def _fault(self, answer: httpx.Response, *, what: str, final: bool) -> Exception:
        self._holdoff.heard(answer)
        error = fault(answer, who=self.who, what=what)
        if isinstance(error, EngineRefused) and not final:
            return EngineUnavailable(error.message, untouched=True)
        return error

    def _bearer(self) -> dict[str, str]:
        try:
            return bearer(self.access.token())
        except AccessError as error:
            raise EngineUnavailable(str(error), untouched=True) from None


def _one(name: str) -> str:
    return f"/{quote(name, safe='')}" if name else ""
