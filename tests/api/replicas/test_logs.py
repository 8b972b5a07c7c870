"""Logs where several processes read and one brings them: live from storage, and whole whoever takes over."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.artifacts.files import FileStorage
from api.artifacts.storage import Storage
from api.artifacts.stored import Stored
from api.db import Database
from api.errors import Unavailable
from api.jobs.files import all_kept, kept_logs, log_folder, piece_name
from api.platform import Platform
from api.reconciler import pieces
from api.reconciler.logs import forget
from api.settings import Settings
from tests.api.factories import Clock
from tests.api.reconciler.bench import Bench, job_id_of
from workflows.keys import StorageTarget

JOBS = "/api/v1/training/jobs"
LINES = b"".join(b"epoch %d\n" % n for n in range(100))


class Shelf(FileStorage):
    """The storage of the platform, which can be away, and counts what is sent to it."""

    away = False
    sent = 0

    def write_file(self, key: str, source: Any) -> Stored:
        self._there()
        stored = super().write_file(key, source)
        self.sent += stored.size
        return stored

    def list(self, prefix: str) -> Any:
        self._there()
        return super().list(prefix)

    def _there(self) -> None:
        if self.away:
            raise Unavailable("storage cannot be reached")


@pytest.fixture
def bench(settings: Settings, database: Database, clock: Clock) -> Bench:
    return Bench(settings, database, clock, shelf=Shelf(settings.storage()))


def successor(bench: Bench, home: Path) -> Bench:
    """Another reconciler, elsewhere, on the same records, engine and storage."""
    made = Bench(bench.settings.model_copy(update={"home": home}), bench.database, bench.clock)
    made.engine, made.shelf = bench.engine, bench.shelf
    made.restart()
    return made


def prints(bench: Bench, name: str, content: bytes, step: str = "train") -> None:
    key = (name, f"{name}-{step}")
    bench.engine.output[key] = bench.engine.output.get(key, b"") + content


def read(client: TestClient, name: str, query: str = "") -> bytes:
    return client.get(f"{JOBS}/{job_id_of(name)}/logs{query}").content


def objects(bench: Bench, name: str) -> list[str]:
    return [found.name for found in bench.shelf.list(kept_logs(job_id_of(name), 1))]


def test_a_running_steps_log_is_read_by_who_never_brought_it(client: TestClient, bench: Bench) -> None:
    name = bench.running()
    prints(bench, name, b"one\n")
    bench.tick(2, seconds=5)
    assert read(client, name) == b"one\n"
    prints(bench, name, b"two\nthree\n")
    bench.tick(2, seconds=5)
    assert read(client, name) == b"one\ntwo\nthree\n"
    assert read(client, name, "?tail=1") == b"three\n"


def test_what_grows_is_sent_every_few_seconds_and_not_at_every_look(client: TestClient, bench: Bench) -> None:
    name = bench.running()
    written: list[int] = []
    for line in range(60):
        prints(bench, name, b"line %d\n" % line)
        bench.tick(seconds=0.5)
        written.append(bench.shelf.sent)
    times = len(set(written)) - 1
    assert times <= 60 * 0.5 / pieces.EVERY_SECONDS + 1
    before = bench.shelf.sent
    bench.tick(20, seconds=5)
    assert bench.shelf.sent - before <= len(read(client, name))  # the rest, once


def test_the_last_words_of_a_step_are_there_while_the_next_one_runs(client: TestClient, bench: Bench) -> None:
    name = bench.running("download")
    prints(bench, name, b"first\n", "download")
    bench.tick()
    prints(bench, name, b"last\n", "download")
    bench.engine.until(name, "train")
    bench.tick(12)
    assert read(client, name, "?step=download") == b"first\nlast\n"


@pytest.mark.parametrize("size", [7, 64, 1 << 20])
def test_who_takes_over_goes_on_where_the_other_stopped(
    client: TestClient, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", size)
    name = bench.running()
    third = len(LINES) // 3
    prints(bench, name, LINES[:third])
    bench.tick(3, seconds=5)
    prints(bench, name, LINES[third : 2 * third])
    bench.tick()  # brought, perhaps not kept yet, and then it is gone
    second = successor(bench, tmp_path / "second")
    # What the engine has forgotten of the beginning stays: the node has rotated its log.
    whole = bench.engine.output[(name, f"{name}-train")]
    bench.engine.output[(name, f"{name}-train")] = b"\0" * third + whole[third:]
    second.tick(3, seconds=5)
    assert read(client, name) == LINES[: 2 * third]
    prints(second, name, LINES[2 * third :])
    for _ in range(12):
        second.engine.advance(name)
        second.tick(seconds=5)
    assert second.attempt(name).closed
    assert read(client, name) == LINES
    assert read(client, name, "?follow=true") == LINES
    assert objects(bench, name) == ["train.log"]
    assert not log_folder(second.settings, job_id_of(name), 1).exists()


def kept(storage: Storage, name: str) -> bytes:
    (found,) = all_kept(storage, job_id_of(name), 1)
    return b"".join(found.read(0, found.size()))


def test_in_a_bucket_as_in_a_folder(
    bench: Bench, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 100)
    bench.shelf = storage
    name = bench.running()
    prints(bench, name, LINES[:250])
    bench.tick(2, seconds=5)
    assert kept(storage, name) == LINES[:250]
    (growing,) = all_kept(storage, job_id_of(name), 1)
    prints(bench, name, LINES[250:330])
    second = successor(bench, tmp_path / "second")
    second.tick(2, seconds=5)
    assert kept(storage, name) == LINES[:330]
    prints(bench, name, LINES[330:])
    second.engine.end(name, "Succeeded")
    second.tick(2)
    assert second.attempt(name).closed
    assert kept(storage, name) == LINES
    assert b"".join(growing.read(40, 250)) == LINES[40:250]  # from a list of pieces that are gone by now


def test_who_comes_back_trusts_storage_and_not_what_he_left_at_home(
    client: TestClient, bench: Bench, tmp_path: Path
) -> None:
    name = bench.running()
    prints(bench, name, b"one\n")
    bench.tick(2, seconds=5)
    other = successor(bench, tmp_path / "other")
    prints(bench, name, b"two\n")
    other.tick(2, seconds=5)
    forget(bench.settings)  # as at the beginning of each term
    bench.restart()
    prints(bench, name, b"three\n")
    bench.tick(2, seconds=5)
    assert read(client, name) == b"one\ntwo\nthree\n"


def test_without_storage_training_is_followed_and_its_log_kept_later(client: TestClient, bench: Bench) -> None:
    name = bench.running()
    prints(bench, name, b"one\n")
    bench.tick(2, seconds=5)
    bench.shelf.away = True
    prints(bench, name, b"two\n")
    bench.engine.until(name, "upload")
    bench.tick(5, seconds=5)
    assert "step_started" in bench.told(name, "step")
    assert [e.event_type for e in bench.events(name, kind="platform")] == []
    bench.shelf.away = False
    bench.tick(3, seconds=5)
    assert read(client, name) == b"one\ntwo\n"


def test_a_close_that_broke_off_is_finished_by_the_next(client: TestClient, bench: Bench, tmp_path: Path) -> None:
    """The log lies there whole, its pieces, too, and the attempt is not closed."""
    name = bench.running()
    prints(bench, name, LINES)
    bench.tick(2, seconds=5)
    source = log_folder(bench.settings, job_id_of(name), 1) / "train.log"
    bench.shelf.write_file(kept_logs(job_id_of(name), 1) + "train.log", source)
    assert read(client, name) == LINES
    bench.engine.end(name, "Succeeded")
    second = successor(bench, tmp_path / "second")
    second.tick(2)
    assert second.attempt(name).closed
    assert objects(bench, name) == ["train.log"]
    assert read(client, name) == LINES


def test_a_log_whose_node_is_gone_is_kept_from_its_pieces(client: TestClient, bench: Bench, tmp_path: Path) -> None:
    name = bench.running()
    prints(bench, name, LINES)
    bench.tick(2, seconds=5)
    second = successor(bench, tmp_path / "second")
    del second.engine.workflows[name]  # deleted from outside, with its pods
    second.tick(3, seconds=5)
    assert second.attempt(name).closed
    assert objects(bench, name) == ["train.log"]
    assert read(client, name) == LINES


def test_pieces_that_become_one_object_in_the_middle_of_a_reading(platform: Platform, bench: Bench) -> None:
    prefix = kept_logs("k7m2qz9x", 1)
    for start in (0, 10, 20):
        content = io.BytesIO(LINES[start : start + 10])
        platform.storage.write_file(prefix + piece_name("train.log", start), content)
    (found,) = all_kept(platform.storage, "k7m2qz9x", 1)
    reading = found.read(5, found.size())
    got = next(reading)
    platform.storage.write_file(prefix + "train.log", io.BytesIO(LINES[:30]))
    for start in (0, 10, 20):
        platform.storage.delete(prefix + piece_name("train.log", start))
    assert got + b"".join(reading) == LINES[5:30]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> FileStorage:
    root = str(tmp_path_factory.mktemp("pieces"))
    return FileStorage(StorageTarget(type="file", bucket="x", root=root, endpoint=None))


@given(
    content=st.binary(max_size=60),
    cuts=st.dictionaries(st.integers(0, 60), st.integers(1, 30), max_size=6),
    span=st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_pieces_that_overlap_are_read_as_one(
    folder: FileStorage, content: bytes, cuts: dict[int, int], span: tuple[int, int]
) -> None:
    """Two that kept the same log for a moment may have cut it differently; what follows a gap is not told yet."""
    folder.delete_prefix("logs/")
    prefix, end = kept_logs("k7m2qz9x", 1), 0
    for start, length in sorted(({0: 10} | cuts).items()):
        piece = content[start : start + length]
        folder.write_file(prefix + piece_name("train.log", start), io.BytesIO(piece))
        if start <= end:
            end = max(end, start + len(piece))
    (found,) = all_kept(folder, "k7m2qz9x", 1)
    assert found.size() == end
    first, last = min(span), min(max(span), end)
    assert b"".join(found.read(first, last)) == content[first:last]
