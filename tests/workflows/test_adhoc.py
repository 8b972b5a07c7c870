"""Scripts: finding the dataset, talking to an Argo Server, saying no in one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hera.workflows import Container, Workflow

from tests.workflows.argo.fake import Answer, Api, Request, serving
from tests.workflows.argo.store import Store, argo_server
from workflows import adhoc
from workflows.engine import EngineRefused, EngineUnavailable
from workflows.keys import StorageTarget
from workflows.locate import dataset_uri
from workflows.problems import SpecError
from workflows.training import training_workflow

NAME = "train-7k3mqz2x-1"


class Server:
    """An Argo Server before a namespace in memory; `broken` is answered in place of everything."""

    def __init__(self) -> None:
        self.store = Store("vision")
        self.broken: Answer | None = None
        self.inner = argo_server(self.store)

    def __call__(self, request: Request) -> Answer:
        return self.broken or self.inner(request)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    with serving(server) as made:
        yield made


@pytest.fixture
def w(job: Callable[..., Any], attempt: Callable[..., Any]) -> Any:
    return training_workflow(job(), attempt())


def test_submits_the_checked_manifest(api: Api, server: Server, w: Any) -> None:
    assert adhoc.submit(w, argo=api.url + "/", token="Bearer t", namespace="vision") == NAME
    (asked,) = api.asked
    assert (asked.path, asked.headers["Authorization"]) == ("/api/v1/workflows/vision", "Bearer t")
    made = server.store.kept["workflows"][NAME]
    assert made["metadata"]["namespace"] == "vision"
    # It is the script's own: no platform follows it, nor sweeps it away.
    assert "app.kubernetes.io/managed-by" not in made["metadata"]["labels"]


def test_through_the_kubernetes_api_it_is_the_same(
    server: Server, w: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(server.store) as kubernetes:
        kubeconfig = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "clusters": [{"name": "c", "cluster": {"server": kubernetes.url}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(path))
        argv = ["--kubernetes", "--namespace", "vision"]
        for _ in range(2):
            assert adhoc.main(lambda storage, uri: w, dataset="digits", argv=argv) == 0
            assert capsys.readouterr().out == f"{NAME}\n"
    assert server.store.created == [("workflows", NAME)]


def test_without_a_cluster_the_cure_is_said(
    w: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert adhoc.main(lambda storage, uri: w, dataset="digits", argv=["--kubernetes"]) == 2
    assert "no cluster is known" in capsys.readouterr().err


def test_submitting_twice_is_harmless(api: Api, server: Server, w: Any) -> None:
    for _ in range(2):
        assert adhoc.submit(w, argo=api.url, namespace="vision") == NAME
    assert server.store.created == [("workflows", NAME)]


def test_another_workflow_of_that_name_is_said(api: Api, server: Server, w: Any) -> None:
    server.store.put("workflows", {"metadata": {"name": NAME}, "spec": {}})
    with pytest.raises(EngineRefused, match=f"another workflow is already called {NAME} in namespace vision"):
        adhoc.submit(w, argo=api.url, namespace="vision")


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(400, {"code": 3, "message": "templates.main: bad"}), EngineRefused, "400.*: templates.main: bad"),
        (Answer(403, {"code": 7, "message": "Permission denied"}), EngineUnavailable, "Permission denied.*the role"),
        (Answer(502, b"<html>proxy</html>"), EngineUnavailable, "502: Bad Gateway"),
        (Answer(429, []), EngineUnavailable, "429"),
    ],
)
def test_says_what_the_server_said(
    api: Api, server: Server, w: Any, answer: Answer, kind: type[Exception], told: str
) -> None:
    server.broken = answer
    with pytest.raises(kind, match=told):
        adhoc.submit(w, argo=api.url)


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
