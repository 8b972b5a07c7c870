"""Speaks to the API: finds its address and token, turns its errors into one line, follows its streams."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from api.cli.fault import Exit, Fault

if TYPE_CHECKING:
    import httpx

JOBS = "/api/v1/training/jobs"
DATASETS = "/api/v1/datasets"
USER_TOKEN = "TIPHYS_USER_TOKEN"


def find_home(given: Path | None) -> Path:
    """The home folder: as given, as TIPHYS_HOME says, or the nearest `.tiphys` from here upwards."""
    if given or os.environ.get("TIPHYS_HOME"):
        return Path(given or os.environ["TIPHYS_HOME"]).expanduser().resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".tiphys").is_dir():
            return folder / ".tiphys"
    return here / ".tiphys"


def part(given: str) -> str:
    """What a person named, as one part of an address."""
    if not given.strip("."):
        raise Fault(f"{given!r} names nothing", cure="give an id or a name", exit_code=Exit.USAGE)
    return quote(given, safe="")


@dataclass(frozen=True)
class Message:
    """One server-sent event."""

    id: str
    event: str
    data: Any


class Api:
    """The platform's API as seen by the command line."""

    def __init__(
        self, url: str, token: str, *, home: Path | None = None, token_from: str = USER_TOKEN, patience: float = 30
    ) -> None:
        import httpx  # 0.15 s that `tiphys --help` does not wait for

        self.url = url
        self.home = home
        self._token_from = token_from
        self._timeout = httpx.Timeout
        self._lost = httpx.TransportError
        try:
            self._http = httpx.Client(
                base_url=url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=httpx.Timeout(patience, connect=5),
                trust_env=home is None,  # a proxy does not lead to what runs on this machine
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise Fault(f"no API can be at {url!r} ({error})", cure=self._cure(), exit_code=Exit.UNREACHABLE) from error

    @classmethod
    def connect(cls, home: Path | None = None) -> Api:
        """Find the API by TIPHYS_URL and TIPHYS_USER_TOKEN, or by what `tiphys up` left in the home folder."""
        url, token = os.environ.get("TIPHYS_URL"), os.environ.get(USER_TOKEN)
        token_from = USER_TOKEN
        folder = find_home(home)
        here = not url
        if not url:
            url = _kept_address(folder)
        if not token:
            kept = folder / "token"
            # The home folder's token is for its own platform alone: no other address gets to see it.
            if not kept.exists() or not (here or _is_of(folder, url)):
                raise Fault(
                    f"no token for {url}", cure="set TIPHYS_USER_TOKEN to the API's bearer token", exit_code=Exit.USAGE
                )
            token, token_from = kept.read_text().strip(), f"what {kept} holds"
        return cls(url.rstrip("/"), token, home=folder if here else None, token_from=token_from)

    def get(self, path: str, **params: Any) -> Any:
        """GET a JSON answer."""
        return self._json("GET", path, params={k: v for k, v in params.items() if v is not None})

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """POST and return the JSON answer."""
        return self._json("POST", path, **({"json": body} if body is not None else {}), **options)

    def put(self, path: str, body: Any) -> Any:
        """PUT and return the JSON answer."""
        return self._json("PUT", path, json=body)

    def delete(self, path: str, **params: Any) -> Any:
        """DELETE and return the JSON answer, if any."""
        return self._json("DELETE", path, params=params)

    def stream(self, path: str, **params: Any) -> Iterator[bytes]:
        """GET an answer piece by piece, without a limit in time."""
        try:
            timeout = self._timeout(None, connect=5)
            # From S3 a file comes by a signed address; the token is not sent there.
            with self._http.stream("GET", path, params=params, timeout=timeout, follow_redirects=True) as answer:
                self._raise_for(answer)
                yield from answer.iter_bytes()
        except self._lost as error:
            raise self._unreachable(error) from error

    def events(self, job_id: str, *, last_id: str = "") -> Iterator[Message]:
        """Follow a job's stream once, from after `last_id`; ends when the server ends it or the line breaks."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        timeout = self._timeout(30, connect=5)  # the server says something at least every 10 s
        with self._http.stream("GET", f"{JOBS}/{job_id}/stream", headers=headers, timeout=timeout) as answer:
            self._raise_for(answer)
            yield from _server_sent(answer.iter_lines())

    def job_id(self, given: str) -> str:
        """The id of a job named by id, by a unique beginning of it, or by `last` for the newest one."""
        if given == "last":
            newest = self.get(JOBS, limit=1)["items"]
            if not newest:
                raise Fault("there is no job yet", cure="submit one: tiphys train", exit_code=Exit.NOT_FOUND)
            return str(newest[0]["id"])
        if not given.strip():
            raise Fault("an empty word names no job", cure="give its id; see: tiphys jobs", exit_code=Exit.USAGE)
        jobs = self.get(JOBS, q=given, limit=200)["items"]
        found = [j["id"] for j in jobs if j["id"].startswith(given) or j["name"] == given]
        if given in found or len(found) == 1:
            return given if given in found else str(found[0])
        cure = f"use an id: {', '.join(found[:5])}" if found else "see their ids: tiphys jobs"
        what = f"{len(found)} jobs have an id that begins with {given!r}, or that name" if found else ""
        raise Fault(what or f"there is no job {given!r}", cure=cure, exit_code=Exit.NOT_FOUND)

    def _json(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, path, **options)
        except self._lost as error:
            raise self._unreachable(error) from error
        except UnicodeEncodeError as error:
            raise Fault("the request holds half a character", cure="write it in UTF-8", exit_code=Exit.USAGE) from error
        self._raise_for(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            what = f"what answers at {self.url} is not Tiphys"
            raise Fault(what, cure=self._cure(), exit_code=Exit.UNREACHABLE) from error

    def _raise_for(self, answer: httpx.Response) -> None:
        try:
            return _raise_for(answer)
        except Fault as fault:
            if answer.status_code != 401:
                raise
            body = fault.body
        cure = f"set {USER_TOKEN} to the token that platform was started with"
        if self._token_from == USER_TOKEN:
            asked = "kubectl get secret tiphys-keys -n NAMESPACE -o jsonpath='{.data.user-token}' | base64 -d"
            cure = f"on a cluster it is what this prints: {asked}; on this machine unset {USER_TOKEN}: it is found"
        raise Fault(f"{self._token_from} is not the token of {self.url}", cure=cure, exit_code=Exit.USAGE, body=body)

    def _unreachable(self, error: Exception) -> Fault:
        detail = str(error) or type(error).__name__
        what = f"the API at {self.url} does not answer ({detail})"
        return Fault(what, cure=self._cure(), exit_code=Exit.UNREACHABLE)

    def _cure(self) -> str:
        return "start it: tiphys up" if self.home else "check TIPHYS_URL and TIPHYS_USER_TOKEN"


def _is_of(folder: Path, url: str) -> bool:
    try:
        return _kept_address(folder).rstrip("/") == url.rstrip("/")
    except Fault:
        return False


def _kept_address(folder: Path) -> str:
    file = folder / "api.json"
    try:
        return str(json.loads(file.read_text())["url"])
    except FileNotFoundError:
        raise Fault(
            f"no API is up in {folder}",
            cure="start one: tiphys up; or name the home of the one that is: tiphys --home DIR",
            exit_code=Exit.UNREACHABLE,
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Fault(
            f"{file} cannot be read as an address", cure="write it anew: tiphys up", exit_code=Exit.UNREACHABLE
        ) from None


def _raise_for(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    answer.read()
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, Mapping):
        body = {}
    code = {404: Exit.NOT_FOUND, 422: Exit.USAGE, 400: Exit.USAGE}.get(answer.status_code, Exit.FAILED)
    text = str(body.get("detail") or f"the API answered {answer.status_code} {answer.reason_phrase}")
    raise Fault(text, cure=str(body.get("cure", "")), exit_code=code, body=dict(body))


def _server_sent(lines: Iterator[str]) -> Iterator[Message]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            if name:
                fields[name] = value.removeprefix(" ")
        else:
            if "data" in fields:  # without it a message is only a setting of the stream, such as retry
                yield Message(fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"]))
            fields = {}
