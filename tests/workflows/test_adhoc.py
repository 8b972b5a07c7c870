"""Scripts: finding the dataset, talking to an Argo Server, saying no in one line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hera.workflows import Container, Workflow

from workflows import adhoc
from workflows.engine import EngineRefused, EngineUnavailable
from workflows.keys import StorageTarget
from workflows.locate import dataset_uri
from workflows.problems import SpecError
from workflows.training import training_workflow


class Server:
    """A server that answers as it is told and remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str | None, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, self.headers.get("Authorization"), body))
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    argo = Server()
    thread = threading.Thread(target=argo.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield argo
    argo.http.shutdown()
    thread.join()
    argo.http.server_close()


@pytest.fixture
def w(job: Callable[..., Any], attempt: Callable[..., Any]) -> Any:
    return training_workflow(job(), attempt())


def test_submits_the_checked_manifest(server: Server, w: Any) -> None:
    assert adhoc.submit(w, argo=server.url + "/", token="Bearer t", namespace="vision") == "train-7k3mqz2x-1"
    path, authorization, body = server.asked[0]
    assert (path, authorization) == ("/api/v1/workflows/vision", "Bearer t")
    assert body["workflow"]["metadata"]["name"] == "train-7k3mqz2x-1"


def test_submitting_twice_is_harmless(server: Server, w: Any) -> None:
    server.status = 409
    assert adhoc.submit(w, argo=server.url) == "train-7k3mqz2x-1"


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (400, b'{"code":3,"message":"templates.main: bad"}', EngineRefused, "400: templates.main: bad"),
        (403, b"{}", EngineRefused, "403: Forbidden"),
        (502, b"<html>proxy</html>", EngineUnavailable, "502: Bad Gateway"),
        (429, b"[]", EngineUnavailable, "429"),
    ],
)
def test_says_what_the_server_said(
    server: Server, w: Any, status: int, body: bytes, kind: type[Exception], told: str
) -> None:
    server.status, server.body = status, body
    with pytest.raises(kind, match=told):
        adhoc.submit(w, argo=server.url)


def test_a_server_that_is_not_there_is_named(w: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code = adhoc.main(lambda storage, uri: w, dataset="digits", argv=["--argo", "http://127.0.0.1:9"])
    assert code == 2
    assert "the Argo Server at http://127.0.0.1:9 does not answer" in capsys.readouterr().err


def test_a_missing_dataset_is_one_line(tmp_path: Path, w: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert adhoc.main(lambda storage, uri: w, dataset="digits", argv=["--home", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dataset: there is no dataset 'digits'")
    assert error.count("\n") == 1


def test_a_script_that_is_interrupted_says_what_goes_on(
    tmp_path: Path, w: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adhoc, "run", interrupted)
    (tmp_path / "digits").mkdir()
    argv = ["--home", str(tmp_path), "--dataset", str(tmp_path / "digits")]
    assert adhoc.main(lambda storage, uri: w, dataset="digits", argv=argv) == 130
    assert "what runs goes on" in capsys.readouterr().err


def test_finds_a_dataset_by_id_path_and_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "storage"
    (root / "datasets" / "digits").mkdir(parents=True)
    (root / "datasets" / "zipped.zip").touch()
    (tmp_path / "digits").mkdir()
    (tmp_path / "own scenes").mkdir()
    (tmp_path / "own.zip").touch()
    (tmp_path / "notes.txt").touch()
    storage = StorageTarget("file", "b", root=str(root))
    assert dataset_uri("digits", storage) == storage.uri("datasets/digits/"), "an id comes before a path"
    assert dataset_uri("zipped", storage) == storage.uri("datasets/zipped.zip")
    assert dataset_uri("./digits", storage) == f"{(tmp_path / 'digits').as_uri()}/"
    assert dataset_uri("own scenes", storage) == f"{(tmp_path / 'own scenes').as_uri()}/"
    assert dataset_uri("own.zip", storage) == (tmp_path / "own.zip").as_uri()
    assert dataset_uri("s3://b/x", storage) == "s3://b/x/"
    assert dataset_uri("digits", StorageTarget("s3", "b")) == "s3://b/datasets/digits/"
    for wrong in ("absent", "./absent", "notes.txt", "ftp://x/y"):
        with pytest.raises(SpecError):
            dataset_uri(wrong, storage)


def test_runs_on_this_machine_and_anew_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    count = tmp_path / "count"

    def plan(storage: StorageTarget, uri: str) -> Workflow:
        with Workflow(name="greet", entrypoint="hello") as greeting:
            Container(name="hello", image="own", command=["sh", "-c", f"echo run >> {count}; test -f {tmp_path}/well"])
        return greeting

    def times() -> int:
        return len(count.read_text().splitlines())

    (tmp_path / "scenes").mkdir()
    assert adhoc.main(plan, dataset="scenes", argv=[]) == 1
    assert "greet: Failed main: Error (exit code 1)" in capfd.readouterr().out
    assert times() == 1
    (tmp_path / "well").touch()
    assert adhoc.main(plan, dataset="scenes", argv=[]) == 0
    assert "greet: Succeeded" in capfd.readouterr().out
    assert times() == 2
