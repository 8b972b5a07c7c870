"""`tiphys up` and `tiphys down`: which address they take, and what they say of a broken home folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import serve
from api.cli.fault import Exit
from api.settings import DEFAULT_PORT, Settings
from tests.api.cli.conftest import Tiphys


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings `tiphys up` would have served with."""
    seen: list[Settings] = []

    def remember(settings: Settings, *, announce: Callable[[Settings], Any]) -> None:
        seen.append(settings)
        announce(settings)

    monkeypatch.setattr(serve, "serve", remember)
    for name in ("TIPHYS_HOST", "TIPHYS_PORT"):
        monkeypatch.delenv(name, raising=False)
    return seen


def test_the_port_is_the_one_asked_for_else_the_environments_else_the_last(
    tiphys: Tiphys, up: Path, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiphys("up")
    (up / "port").write_text("8200")
    tiphys("up")
    monkeypatch.setenv("TIPHYS_PORT", "8300")
    tiphys("up")
    tiphys("up", "--port", "8400")
    assert [settings.port for settings in served] == [DEFAULT_PORT, 8200, 8300, 8400]


def test_the_host_is_the_one_asked_for_else_the_environments(
    tiphys: Tiphys, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiphys("up")
    monkeypatch.setenv("TIPHYS_HOST", "0.0.0.0")
    tiphys("up")
    tiphys("up", "--host", "::1")
    assert [settings.host for settings in served] == ["127.0.0.1", "0.0.0.0", "::1"]


def test_it_says_where_it_is(tiphys: Tiphys, served: list[Settings]) -> None:
    said = tiphys("up", "--port", "8400")
    assert said.code == Exit.OK
    assert "http://127.0.0.1:8400" in said.out
    assert tiphys("up", "--port", "8400", "--json").json["url"] == "http://127.0.0.1:8400"


def test_a_broken_database_is_named(tiphys: Tiphys, up: Path) -> None:
    (up / "tiphys.db").write_bytes(b"this is no database, however long one looks at it" * 100)
    said = tiphys("up", "--port", "0")
    assert said.code == Exit.FAILED
    assert "tiphys.db cannot be used: file is not a database" in said.err


def test_broken_signing_keys_are_named(tiphys: Tiphys, up: Path) -> None:
    (up / "keys.json").write_text("{")
    said = tiphys("up", "--port", "0")
    assert said.code == Exit.FAILED
    assert "keys.json" in said.err


def test_a_home_that_is_a_file_is_named(tiphys: Tiphys, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    for words in (("up",), ("up", "-d"), ("jobs",)):
        said = tiphys(*words)
        assert said.code in (Exit.FAILED, Exit.UNREACHABLE)
        assert str(tmp_path / "home") in said.err


def test_down_without_a_platform_says_so(tiphys: Tiphys, up: Path) -> None:
    (up / "api.json").write_text(json.dumps({"url": "u", "pid": 2**30, "create_time": 0, "started_at": 0}))
    said = tiphys("down")
    assert said.code == Exit.UNREACHABLE
    assert "no Tiphys is up" in said.err
