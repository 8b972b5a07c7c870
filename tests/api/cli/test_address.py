"""The address file, the lock and the port of a platform on this machine."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from api.cli import address
from api.cli.fault import Exit, Fault
from api.settings import Settings


def test_an_address_is_read_while_its_process_lives(tmp_path: Path) -> None:
    mine = address.Address.of_this_process("http://127.0.0.1:1", started_at=time.time())
    address.write(tmp_path, mine)
    assert address.read(tmp_path) == mine
    address.remove(tmp_path)
    assert address.read(tmp_path) is None


def test_a_later_process_with_the_same_pid_is_another_one(tmp_path: Path) -> None:
    mine = address.Address.of_this_process("http://127.0.0.1:1", started_at=0)
    address.write(tmp_path, address.Address(mine.url, mine.pid, mine.create_time - 60, 0))
    assert address.read(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "{", json.dumps({"url": 1, "pid": "x", "create_time": 0, "started_at": 0}),
     json.dumps({"url": "", "pid": 1, "create_time": "now", "started_at": 0})],
)  # fmt: skip
def test_a_broken_address_file_is_no_address(tmp_path: Path, text: str) -> None:
    (tmp_path / "api.json").write_text(text)
    assert address.read(tmp_path) is None


def test_a_home_folder_is_taken_once(tmp_path: Path) -> None:
    held = address.lock(tmp_path / "home")
    address.write(tmp_path / "home", address.Address.of_this_process("http://127.0.0.1:1", started_at=0))
    with pytest.raises(Fault, match=r"in use by another `tiphys up` \(pid \d+, http://127.0.0.1:1\)"):
        address.lock(tmp_path / "home")
    held.close()
    address.lock(tmp_path / "home").close()


def test_a_port_in_use_is_named_with_its_cure() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Fault) as refused:
            address.listen("127.0.0.1", port)
    assert str(port) in refused.value.message
    assert "--port" in refused.value.cure
    assert refused.value.exit_code == Exit.FAILED


def test_any_free_port_is_taken() -> None:
    sock = address.listen("127.0.0.1", 0)
    assert sock.getsockname()[1] > 0
    sock.close()


@pytest.mark.parametrize(("text", "port"), [("8137", 8137), ("", None), ("x", None), ("0", None), ("99999", None)])
def test_the_last_port_is_a_port(tmp_path: Path, text: str, port: int | None) -> None:
    assert address.last_port(tmp_path) is None
    (tmp_path / "port").write_text(text)
    assert address.last_port(tmp_path) == port


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("0.0.0.0", "http://127.0.0.1:1"), ("::", "http://[::1]:1"),
     ("fe80::1", "http://[fe80::1]:1"), ("box.lan", "http://box.lan:1")],
)  # fmt: skip
def test_an_address_can_be_called(host: str, url: str) -> None:
    assert Settings(host=host, port=1).api_url() == url
