"""Whatever is wrong, a command says it in one line, with a cure and an exit code, and shows no traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from api.cli import jobs as jobs_commands
from api.cli.client import Api, find_home
from api.cli.fault import Exit, Fault
from tests.api.cli.conftest import URL, Tiphys
from workflows.version import __version__


def test_without_an_api_the_cure_is_to_start_one(tiphys: Tiphys, tmp_path: Path) -> None:
    said = tiphys("jobs")
    assert said.code == Exit.UNREACHABLE
    assert f"no API is up in {tmp_path / 'home'}" in said.err
    assert "tiphys up" in said.err


def test_an_api_that_does_not_answer_is_named(tiphys: Tiphys, up: Path) -> None:
    said = tiphys("jobs")
    assert said.code == Exit.UNREACHABLE
    assert "http://127.0.0.1:1 does not answer" in said.err
    assert "tiphys up" in said.err


def test_with_json_a_fault_is_json(tiphys: Tiphys) -> None:
    fault = json.loads(tiphys("jobs", "--json").err)
    assert fault["exit_code"] == 3
    assert fault["cure"].startswith("start one: tiphys up")


@pytest.mark.parametrize("text", ["", "garbage", "[]", '{"pid": 1}'])
def test_a_broken_address_file_is_named(tiphys: Tiphys, up: Path, text: str) -> None:
    (up / "api.json").write_text(text)
    said = tiphys("jobs")
    assert said.code == Exit.UNREACHABLE
    assert "api.json" in said.err


@pytest.mark.parametrize("url", ["http://::1:8137", "localhost:1", "http://127.0.0.1:1"])
def test_a_wrong_url_is_not_cured_by_starting_a_platform(
    tiphys: Tiphys, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("TIPHYS_URL", url)
    monkeypatch.setenv("TIPHYS_USER_TOKEN", "t")
    said = tiphys("jobs")
    assert said.code == Exit.UNREACHABLE
    assert "check TIPHYS_URL" in said.err


def test_a_url_without_a_token_says_which_variable_is_missing(tiphys: Tiphys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIPHYS_URL", "http://127.0.0.1:1")
    said = tiphys("jobs")
    assert said.code == Exit.USAGE
    assert "TIPHYS_USER_TOKEN" in said.err


def test_a_proxy_is_not_asked_for_what_runs_on_this_machine(monkeypatch: pytest.MonkeyPatch, up: Path) -> None:
    asked = {}
    monkeypatch.setattr(httpx, "Client", lambda **options: asked.update(options))
    Api.connect(up)
    assert asked["trust_env"] is False


def test_something_else_at_the_address_is_not_mistaken_for_the_api(
    tiphys: Tiphys, answering: Callable[[httpx.Response], None]
) -> None:
    answering(httpx.Response(200, text="<html>hello</html>"))
    said = tiphys("jobs")
    assert said.code == Exit.UNREACHABLE
    assert "is not Tiphys" in said.err


def test_a_wrong_token_names_the_variable_and_where_the_right_one_lies(
    tiphys: Tiphys, online: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIPHYS_USER_TOKEN", "wrong")
    online.headers["Authorization"] = "Bearer wrong"
    said = tiphys("jobs")
    assert said.code == Exit.USAGE
    assert f"TIPHYS_USER_TOKEN is not the token of {URL}" in said.err
    assert "kubectl get secret tiphys-keys" in said.err
    assert "unset TIPHYS_USER_TOKEN" in said.err


def test_a_wrong_token_of_a_home_folder_names_its_file(tiphys: Tiphys, online: TestClient, up: Path) -> None:
    online.headers["Authorization"] = "Bearer wrong"
    said = tiphys("jobs")
    assert said.code == Exit.USAGE
    assert f"what {up / 'token'} holds is not the token of {URL}" in said.err
    assert "set TIPHYS_USER_TOKEN" in said.err


@pytest.mark.parametrize("verb", ["show", "watch", "logs", "events", "metrics", "checkpoints", "cancel", "delete"])
def test_an_unknown_job_is_not_found(tiphys: Tiphys, online: TestClient, verb: str) -> None:
    said = tiphys("job", verb, "k7m2qz9x")
    assert said.code == Exit.NOT_FOUND
    assert "k7m2qz9x" in said.err
    assert "tiphys jobs" in said.err


@pytest.mark.parametrize("words", [("job", "delete", ""), ("job", "show", " "), ("dataset", "delete", "")])
def test_an_empty_word_names_nothing(tiphys: Tiphys, online: TestClient, words: tuple[str, ...]) -> None:
    assert tiphys(*words).code == Exit.USAGE


def test_no_job_yet_has_no_last_one(tiphys: Tiphys, online: TestClient) -> None:
    said = tiphys("job", "show", "last")
    assert said.code == Exit.NOT_FOUND
    assert "tiphys train" in said.err


@pytest.mark.parametrize(
    "words", [("jobs", "--limit", "0"), ("jobs", "--no-such"), ("nothing",), ("up", "--port", "70000")]
)
def test_wrong_usage_exits_2(tiphys: Tiphys, words: tuple[str, ...]) -> None:
    assert tiphys(*words).code == Exit.USAGE


@pytest.mark.parametrize("words", [(), ("train",), ("job",), ("job", "show"), ("dataset", "check")])
def test_help_has_a_short_word(tiphys: Tiphys, words: tuple[str, ...]) -> None:
    short = tiphys(*words, "-h")
    assert short.code == Exit.OK
    assert short.out == tiphys(*words, "--help").out
    assert short.out.startswith("Usage: ")


def test_the_version_is_told(tiphys: Tiphys) -> None:
    said = tiphys("--version")
    assert (said.code, said.out) == (Exit.OK, f"tiphys {__version__}\n")


@pytest.mark.parametrize("command", ["compile", "run", "up"])
def test_a_wrong_variable_is_named(
    tiphys: Tiphys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("TIPHYS_PORT", "abc")
    job = tmp_path / "job.yaml"
    job.write_text("framework: toy\nmodel: softmax\ndataset: digits\n")
    said = tiphys(command, *([job] if command != "up" else []))
    assert said.code == Exit.USAGE
    assert "TIPHYS_PORT" in said.err


def test_a_secret_variable_is_named_and_not_shown(tiphys: Tiphys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIPHYS_SIGNING_KEYS", "s3cret")
    said = tiphys("up")
    assert said.code == Exit.USAGE
    assert "signing_keys" in said.err
    assert "s3cret" not in said.err


def test_a_fault_of_ours_keeps_its_traceback_in_a_file(
    tiphys: Tiphys, online: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def broken(*_: object, **__: object) -> None:
        raise KeyError("something")

    monkeypatch.setattr(jobs_commands, "say_json", broken)
    said = tiphys("jobs", "--json")
    assert said.code == Exit.FAILED
    file = re.search(r"report it, with (\S+\.txt)", said.err)
    assert file
    assert "Traceback" in Path(file[1]).read_text()


def test_ctrl_c_ends_without_a_word(tiphys: Tiphys, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Api, "connect", interrupted)
    said = tiphys("jobs")
    assert (said.code, said.out, said.err.strip()) == (Exit.INTERRUPTED, "", "")


def test_a_fault_tells_its_cure_once(tiphys: Tiphys, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: object) -> None:
        raise Fault("it is broken. Mend it.", cure="Mend it.")

    monkeypatch.setattr(Api, "connect", faulty)
    assert tiphys("jobs").err == "error: it is broken. Mend it.\n"


def test_the_nearest_home_folder_is_found_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".tiphys").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.delenv("TIPHYS_HOME", raising=False)
    monkeypatch.chdir(deep)
    assert find_home(None) == tmp_path / ".tiphys"
    monkeypatch.setenv("TIPHYS_HOME", str(tmp_path / "other"))
    assert find_home(None) == tmp_path / "other"
    assert find_home(tmp_path / "given") == tmp_path / "given"
