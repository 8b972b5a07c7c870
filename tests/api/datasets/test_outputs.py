"""What a task made is stored whole, told byte by byte, and not at all where its task is stopped in the middle."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from api.artifacts.storage import CHUNK_BYTES, open_storage
from api.datasets.commands import Made
from api.datasets.outputs import keep
from api.datasets.program import Stopped
from api.datasets.progress import Tick
from api.settings import Settings

SIZE = 3 * CHUNK_BYTES + 5


@pytest.fixture
def made(tmp_path: Path) -> Made:
    (tmp_path / "sheet.png").write_bytes(b"7" * SIZE)
    return Made(path=tmp_path / "sheet.png", name="sheet.png")


def test_storing_tells_its_bytes(settings: Settings, made: Made) -> None:
    heard: list[Tick] = []
    stored = keep(open_storage(settings), made, prefix="exports/one/", hear=heard.append)
    assert (stored["size"], stored["sha256"]) == (SIZE, hashlib.sha256(b"7" * SIZE).hexdigest())
    assert [tick.done for tick in heard] == [CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES, SIZE, SIZE]
    assert {(tick.phase, tick.total) for tick in heard} == {("keep", SIZE)}


def test_what_is_stopped_in_the_middle_is_not_there(settings: Settings, made: Made) -> None:
    def stop(tick: Tick) -> None:
        if tick.done > CHUNK_BYTES:
            raise Stopped

    storage = open_storage(settings)
    with pytest.raises(Stopped):
        keep(storage, made, prefix="exports/one/", hear=stop)
    assert storage.list("exports/") == []
    root = storage.local_path(storage.target.uri("exports/"))
    assert root is not None
    assert [path for path in root.rglob("*") if path.is_file()] == []
