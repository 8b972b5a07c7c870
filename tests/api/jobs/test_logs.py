"""A step's output: the last lines of however much, all its tries, followed while it grows, found in storage later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.db import Database
from api.jobs import logs
from api.jobs.files import LogFile, kept_logs, log_folder, piece_name
from api.jobs.logs import LogView, Position, tail_position
from api.models import Attempt
from api.platform import Platform
from tests.api.factories import ArrivalWake, create_job

JOBS = "/api/v1/training/jobs"
LIMIT = 20.0


class Memory:
    """A log file that counts what is read of it."""

    name = "train.log"

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.bytes_read = 0

    def size(self) -> int:
        return len(self.content)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        piece = self.content[start:end]
        self.bytes_read += len(piece)
        yield piece


def rest(found: Sequence[LogFile], at: Position) -> bytes:
    pieces = [b"".join(f.read(at.offset if n == at.file else 0, f.size())) for n, f in enumerate(found) if n >= at.file]
    return b"".join(pieces)


@given(
    contents=st.lists(
        st.lists(st.sampled_from([b"", b"a", b"bc", b"d" * 9, b"\n"]), max_size=12).map(b"\n".join), max_size=3
    ),
    lines=st.integers(0, 20),
    block=st.integers(1, 8),
)
def test_the_tail_is_what_tail_would_print(contents: list[bytes], lines: int, block: int) -> None:
    found = [Memory(content) for content in contents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "BLOCK_BYTES", block)
        told = rest(found, tail_position(found, lines))
    # Each file's lines by themselves: a try that ended without a newline does not run into the next one's first line.
    every = [line for content in contents for line in content.splitlines(keepends=True)]
    assert told == (b"".join(every[-lines:]) if lines else b"")


def test_the_tail_of_much_is_found_without_reading_it() -> None:
    big = Memory(b"epoch 17 loss 0.123456\n" * 5_000_000)  # 115 MB
    at = tail_position([big], 200)
    assert rest([big], at) == b"epoch 17 loss 0.123456\n" * 200
    assert big.bytes_read < 1 << 18


@pytest.fixture
def job_id(database: Database) -> str:
    with database.write() as session:
        return create_job(session, state="running", attempt=2).id


def write(platform: Platform, job_id: str, name: str, content: bytes, *, attempt: int = 2) -> Path:
    """Lets a log grow as the reconciler does: at home, and, where other processes read it, in storage."""
    path = log_folder(platform.settings, job_id, attempt) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(content)
    if platform.settings.shared:
        platform.storage.write_file(kept_logs(job_id, attempt) + piece_name(name, 0), path)
    return path


def close(database: Database, job_id: str) -> None:
    with database.write() as session:
        session.get_one(Attempt, (job_id, 2)).closed = True


def test_the_log_as_it_was_printed(client: TestClient, platform: Platform, job_id: str) -> None:
    content = "päng\r\n\x1b[1mbold\x1b[0m\n".encode() + b"\xff\n"
    write(platform, job_id, "train.log", content)
    answer = client.get(f"{JOBS}/{job_id}/logs")
    assert answer.content == content
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_the_last_lines_over_all_tries(client: TestClient, platform: Platform, job_id: str) -> None:
    for number in (0, 1, 10, 2):
        write(platform, job_id, f"train.{number}.log", f"{number}a\n{number}b\n".encode())
    write(platform, job_id, "upload.log", b"other\n")
    assert client.get(f"{JOBS}/{job_id}/logs?step=train").text == "0a\n0b\n1a\n1b\n2a\n2b\n10a\n10b\n"
    assert client.get(f"{JOBS}/{job_id}/logs?step=train&tail=3").text == "2b\n10a\n10b\n"
    assert client.get(f"{JOBS}/{job_id}/logs?step=upload&tail=3").text == "other\n"
    assert client.get(f"{JOBS}/{job_id}/logs?step=train&tail=0").text == ""


def test_each_attempt_has_its_own(client: TestClient, platform: Platform, job_id: str) -> None:
    write(platform, job_id, "train.log", b"first\n", attempt=1)
    write(platform, job_id, "train.log", b"second\n", attempt=2)
    assert client.get(f"{JOBS}/{job_id}/logs?attempt=1").text == "first\n"
    assert client.get(f"{JOBS}/{job_id}/logs").text == "second\n"
    assert client.get(f"{JOBS}/{job_id}/logs?attempt=3").json()["cure"] == "it has attempts 1 to 2"


def test_without_a_log_it_says_which_there_are(client: TestClient, platform: Platform, job_id: str) -> None:
    answer = client.get(f"{JOBS}/{job_id}/logs?step=train")
    assert (answer.status_code, "follow=true" in answer.json()["cure"]) == (404, True)
    write(platform, job_id, "download.log", b"x\n")
    write(platform, job_id, "convert.0.log", b"x\n")
    answer = client.get(f"{JOBS}/{job_id}/logs?step=train")
    assert (answer.status_code, answer.json()["cure"]) == (404, "there are logs of: convert, download")


@pytest.mark.parametrize("step", ["../../token", "..", "a/b", "train.log", "", "%00", "a\nb"])
def test_a_step_is_a_name_and_no_path(client: TestClient, job_id: str, step: str) -> None:
    assert client.get(f"{JOBS}/{job_id}/logs", params={"step": step}).status_code == 422


def test_what_left_the_home_folder_is_read_from_storage(
    client: TestClient, platform: Platform, database: Database, job_id: str
) -> None:
    for number, content in ((0, b"a\nb\n"), (1, b"c\nd\n")):
        path = write(platform, job_id, f"train.{number}.log", content)
        platform.storage.write_file(f"{kept_logs(job_id, 2)}{path.name}", path)
        path.unlink()
    close(database, job_id)
    for query in ("", "?follow=true"):
        assert client.get(f"{JOBS}/{job_id}/logs{query}").text == "a\nb\nc\nd\n"
    assert client.get(f"{JOBS}/{job_id}/logs?tail=3").text == "b\nc\nd\n"
    assert client.get(f"{JOBS}/{job_id}/logs?tail=3&follow=true").text == "b\nc\nd\n"
    assert client.get(f"{JOBS}/{job_id}/logs?step=upload").json()["cure"] == "there are logs of: train"


def test_a_followed_log_of_an_ended_attempt_ends(
    client: TestClient, platform: Platform, database: Database, job_id: str
) -> None:
    write(platform, job_id, "train.log", b"a\nb\n")
    close(database, job_id)
    assert client.get(f"{JOBS}/{job_id}/logs?follow=true&tail=1").text == "b\n"
    assert client.get(f"{JOBS}/{job_id}/logs?step=upload&follow=true").text == ""


def test_a_log_is_followed_over_its_tries_until_the_attempt_is_closed(
    watched: Platform, wake: ArrivalWake, database: Database, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "FOLLOW_SECONDS", LIMIT)  # only the bell brings news
    monkeypatch.setattr(logs, "FOLLOW_STORAGE_SECONDS", 0.01)  # where no bell rings
    view = LogView(watched, job_id, 2, "train")

    async def test() -> None:
        pieces = view.follow(Position(0, 0), kept=[])

        async def after(act: Callable[[], object]) -> bytes:
            waiting = asyncio.create_task(anext(pieces, b""))
            await wake.arrived.get()
            act()
            wake.notify(job_id)
            return await waiting

        assert await after(lambda: write(watched, job_id, "train.0.log", b"one")) == b"one"
        assert await after(lambda: write(watched, job_id, "train.0.log", b" more\n")) == b" more\n"
        assert await after(lambda: write(watched, job_id, "train.1.log", b"again\n")) == b"again\n"

        def last() -> None:
            write(watched, job_id, "train.1.log", b"last\n")
            close(database, job_id)

        assert await after(last) == b"last\n"
        assert await anext(pieces, b"") == b""

    asyncio.run(asyncio.wait_for(test(), LIMIT))


@pytest.mark.sqlite_only
def test_much_is_passed_on_in_pieces(platform: Platform, database: Database, job_id: str) -> None:
    write(platform, job_id, "train.log", b"x" * 1023 + b"\n")
    with (log_folder(platform.settings, job_id, 2) / "train.log").open("r+b") as file:
        file.truncate(100 << 20)  # 100 MB, though none of it on disk
    close(database, job_id)
    view = LogView(platform, job_id, 2, "train")

    async def test() -> tuple[int, int]:
        sizes = [len(piece) async for piece in view.follow(Position(0, 0), kept=[])]
        return sum(sizes), max(sizes)

    total, largest = asyncio.run(asyncio.wait_for(test(), LIMIT))
    assert total == 100 << 20
    assert largest <= 1 << 20
