"""`tiphys jobs` and `tiphys job …` against the real API."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.cli.client import Message
from api.cli.fault import Exit, Fault
from api.cli.watch import RECONNECT_AFTER, View, messages
from api.db import Database
from api.models import Checkpoint
from api.platform import Platform
from tests.api.cli.conftest import Tiphys
from tests.api.factories import create_checkpoint, create_event, create_job, create_snapshot


@pytest.mark.parametrize("word", ["abcdefgh", "abc", "a-longer-name", "last"])
def test_a_job_is_named_by_id_beginning_name_or_last(
    tiphys: Tiphys, online: TestClient, database: Database, word: str
) -> None:
    with database.write() as session:
        create_job(session, id="abcdefgh", name="a-longer-name")
    assert tiphys("job", "show", word, "--json").json["id"] == "abcdefgh"


def test_an_ambiguous_name_lists_the_ids(tiphys: Tiphys, online: TestClient, database: Database) -> None:
    with database.write() as session:
        for job_id in ("abcdefgh", "abcdefgj"):
            create_job(session, id=job_id, name="twice")
    for word in ("twice", "abc"):
        said = tiphys("job", "delete", word)
        assert said.code == Exit.NOT_FOUND
        assert "abcdefgh" in said.err
        assert "abcdefgj" in said.err


def test_names_are_shown_as_they_are(tiphys: Tiphys, online: TestClient, database: Database) -> None:
    with database.write() as session:
        create_job(session, name="[/x] [red]odd", state="failed", message="[/y]")
    assert "[/x] [red]odd" in tiphys("jobs").out
    shown = tiphys("job", "show", "last").out
    assert "[/x] [red]odd" in shown
    assert "[/y]" in shown


def test_a_job_tells_what_it_trained_on_and_what_became_of_it(
    tiphys: Tiphys, online: TestClient, database: Database
) -> None:
    part = {"images": 3, "annotations": 7, "per_class": {"cat": 7}}
    proof = {
        "counts": {"in": {"train": part}, "out": {"train": part}},
        "covers": ["boxes"],
        "left_out": {"crowd": {"count": 2, "unit": "annotations", "why": "…", "ids": [4, 5]}},
        "changed": {},
        "checksum_in": "sha256:abcdef0123456789",
        "checksum_out": "sha256:abcdef0123456789",
    }
    with database.write() as session:
        taken = create_snapshot(session, id="snap_0123456789ab", version_hash="dsv1:" + "a" * 64)
        job = create_job(session, snapshot_id=taken.id)
        create_event(session, job, event_type="dataset_converted", data={"conversion": {"proof": proof}})
    shown = tiphys("job", "show", "last").out
    assert "digits  D1  version dsv1:aaaaaaaaaaaa  snapshot snap_0123456789ab" in shown
    assert "3 images, 7 annotations" in shown
    assert "2 annotations crowd" in shown
    assert "same checksum of boxes in and out (abcdef012345)" in shown


def test_all_events_are_told_not_only_the_first_page(tiphys: Tiphys, online: TestClient, database: Database) -> None:
    with database.write() as session:
        job = create_job(session)
        for number in range(1001):
            create_event(session, job, message=f"event {number}")
    assert len(tiphys("job", "events", "last", "--json").json["items"]) == 1001
    assert "event 1000" in tiphys("job", "events", "last").out


@pytest.fixture
def best(database: Database, platform: Platform) -> bytes:
    """The content of a checkpoint that lies in storage."""
    content = b"weights"
    root = Path(str(platform.storage.target.root))
    (root / "best.pt").write_bytes(content)
    with database.write() as session:
        job = create_job(session, state="succeeded", closed=True)
        uri, digest = platform.storage.target.uri("best.pt"), hashlib.sha256(content).hexdigest()
        create_checkpoint(session, job, uri=uri, sha256=digest)
    return content


def test_a_checkpoint_is_fetched_whole(tiphys: Tiphys, online: TestClient, best: bytes, tmp_path: Path) -> None:
    said = tiphys("job", "checkpoints", "last", "--get", "best", "--json")
    assert said.json == {"kind": "best", "path": "best.pt", "sha256": hashlib.sha256(best).hexdigest()}
    assert (tmp_path / "best.pt").read_bytes() == best


def test_a_checkpoint_that_is_there_already_is_not_fetched_again(
    tiphys: Tiphys, online: TestClient, best: bytes, platform: Platform, tmp_path: Path
) -> None:
    assert tiphys("job", "checkpoints", "last", "--get", "best").out.strip() == "best.pt (7 B, SHA-256 ok)"
    Path(str(platform.storage.target.root), "best.pt").unlink()
    said = tiphys("job", "checkpoints", "last", "--get", "best")
    assert (said.code, said.out.strip()) == (Exit.OK, "best.pt (7 B, SHA-256 ok) is there already")


@pytest.mark.parametrize("recorded", [True, False])
def test_a_checkpoint_is_not_written_over_another_file(
    tiphys: Tiphys, online: TestClient, best: bytes, database: Database, tmp_path: Path, recorded: bool
) -> None:
    if not recorded:
        with database.write() as session:
            session.execute(update(Checkpoint).values(sha256=None))
    (tmp_path / "best.pt").write_bytes(b"another training's")
    before = set(tmp_path.iterdir())
    said = tiphys("job", "checkpoints", "last", "--get", "best")
    assert said.code == Exit.USAGE
    assert "best.pt is there already, and is not checkpoint best" in said.err
    assert "--to" in said.err
    assert (tmp_path / "best.pt").read_bytes() == b"another training's"
    assert set(tmp_path.iterdir()) == before
    assert tiphys("job", "checkpoints", "last", "--get", "best", "--to", "mine.pt").code == Exit.OK


def test_a_checkpoint_that_is_not_what_was_recorded_is_refused(
    tiphys: Tiphys, online: TestClient, best: bytes, platform: Platform, tmp_path: Path
) -> None:
    Path(str(platform.storage.target.root), "best.pt").write_bytes(best[::-1])
    (tmp_path / "to").mkdir()
    said = tiphys("job", "checkpoints", "last", "--get", "best", "--to", tmp_path / "to")
    assert said.code == Exit.FAILED
    assert "SHA-256" in said.err
    assert list((tmp_path / "to").iterdir()) == []


def test_a_checkpoint_that_is_not_there_leaves_no_file(
    tiphys: Tiphys, online: TestClient, best: bytes, tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir())
    said = tiphys("job", "checkpoints", "last", "--get", "worst")
    assert said.code == Exit.NOT_FOUND
    assert "it has: best" in said.err
    assert set(tmp_path.iterdir()) == before


def test_what_a_job_cannot_do_says_what_it_can(tiphys: Tiphys, online: TestClient, database: Database) -> None:
    with database.write() as session:
        create_job(session, id="abcdefgh", state="succeeded", closed=True)
    for verb, word in (("cancel", "delete"), ("retry", "submit a new job")):
        said = tiphys("job", verb, "abcdefgh")
        assert said.code == Exit.FAILED
        assert "abcdefgh is succeeded" in said.err
        assert word in said.err
    assert tiphys("job", "delete", "abcdefgh", "--json").json == {"deleted": "abcdefgh"}


@pytest.mark.parametrize(
    "words",
    [("jobs",), ("frameworks",), ("frameworks", "toy"), ("models",), ("dataset", "list"), ("job", "events", "last"),
     ("job", "metrics", "last"), ("job", "checkpoints", "last"), ("job", "show", "last"), ("job", "cancel", "last")],
)  # fmt: skip
def test_every_command_speaks_json_and_words(
    tiphys: Tiphys, online: TestClient, database: Database, words: tuple[str, ...]
) -> None:
    with database.write() as session:
        create_job(session)
    assert isinstance(tiphys(*words, "--json").json, dict)
    if words[-2:] != ("cancel", "last"):  # which cannot be said twice
        assert tiphys(*words).out.strip()


JOB: dict[str, Any] = {
    "id": "abcdefgh", "name": "n", "framework": "toy", "model": "m", "dataset": "d", "state": "running", "steps": [],
    "epoch": 1, "total_epochs": 3, "progress": None, "metrics": {"val/accuracy": 0.5},
}  # fmt: skip


class FakeApi:
    """An API whose line breaks where it is told to."""

    def __init__(self, *streams: list[Message]) -> None:
        self.streams = list(streams)
        self.asked_after: list[str] = []

    def events(self, job_id: str, *, last_id: str = "") -> Iterator[Message]:
        self.asked_after.append(last_id)
        yield from self.streams.pop(0)
        raise httpx.ReadError("gone")

    def get(self, path: str) -> dict[str, Any]:
        raise Fault("away", exit_code=Exit.UNREACHABLE)


def test_a_watch_outlives_an_api_that_goes_between_message_and_question() -> None:
    view = View(JOB)
    view.hear(Message("2-1", "state", {"kind": "state", "level": "info", "message": ""}), FakeApi())  # type: ignore[arg-type]  # a stand-in
    assert view.away


def test_a_broken_stream_goes_on_behind_the_last_message(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    one, two, end = (Message(f"{n}-0", name, {}) for n, name in ((1, "event"), (2, "event"), (2, "end")))
    api = FakeApi([one], [two, end])
    assert list(messages(api, "abcdefgh")) == [one, None, two]  # type: ignore[arg-type]  # a stand-in
    assert api.asked_after == ["", "1-0"]
    assert waited == [RECONNECT_AFTER]
