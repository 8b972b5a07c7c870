"""Images get second names, never second owners: what belongs to someone else is only pointed to."""

import os
from pathlib import Path

import pytest

from steps.convert.write import link
from steps.convert.write.link import Linker, link_file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "owner/a.png"
    path.parent.mkdir()
    path.write_bytes(b"pixels")
    return path


def test_own_files_are_hard_linked(source: Path, tmp_path: Path) -> None:
    assert link_file(str(source), str(tmp_path / "b.png")) == "hardlink"
    assert (tmp_path / "b.png").stat().st_ino == source.stat().st_ino


@pytest.mark.parametrize("whole_folder", [True, False])
def test_what_is_reached_through_a_link_is_pointed_to(source: Path, tmp_path: Path, whole_folder: bool) -> None:
    seen = tmp_path / "dataset"
    if whole_folder:
        seen.symlink_to(source.parent)
    else:
        seen.mkdir()
        (seen / "a.png").symlink_to(source)
    assert link_file(str(seen / "a.png"), str(tmp_path / "b.png")) == "symlink"
    assert os.readlink(tmp_path / "b.png") == str(source)
    assert source.stat().st_nlink == 1


@pytest.mark.parametrize("whole_folder", [True, False])
def test_what_lies_in_the_cache_is_ours(
    source: Path, tmp_path: Path, whole_folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.chmod(0o444)
    monkeypatch.setenv("CACHE_DIR", str(source.parent))
    seen = tmp_path / "dataset"
    if whole_folder:
        seen.symlink_to(source.parent)
    else:
        seen.mkdir()
        (seen / "a.png").symlink_to(source)
    assert link_file(str(seen / "a.png"), str(tmp_path / "b.png")) == "hardlink"
    # A folder whose name only begins like the cache's is another's.
    monkeypatch.setenv("CACHE_DIR", str(source.parent)[:-1])
    assert link_file(str(seen / "a.png"), str(tmp_path / "c.png")) == "symlink"


def test_a_copy_can_be_written_to(source: Path, tmp_path: Path) -> None:
    source.chmod(0o444)
    assert link_file(str(source), str(tmp_path / "b.png"), copy=True) == "copy"
    (tmp_path / "b.png").write_bytes(b"other")
    assert source.read_bytes() == b"pixels"
    linker = Linker(copy=True)
    linker.link(str(source), str(tmp_path / "c.png"))
    assert (tmp_path / "c.png").stat().st_nlink == 1
    assert linker.how == {"copy": 1}


def test_nothing_is_written_over(source: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(b"stays")
    (tmp_path / "b.png").symlink_to(other)
    for copy in (True, False):
        with pytest.raises(FileExistsError):
            link_file(str(source), str(tmp_path / "b.png"), copy=copy)
    assert other.read_bytes() == b"stays"


def test_without_hard_links_it_is_a_symlink_and_without_those_a_copy(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(link.errno.EPERM, "no links here")

    asked = []
    monkeypatch.setattr(link.os, "link", lambda *_, **__: (asked.append(1), refused()))
    linker = Linker()
    for name in "bc":
        linker.link(str(source), str(tmp_path / name))
    assert linker.how in ({"symlink": 2}, {"reflink": 2})
    assert len(asked) == 1
    monkeypatch.setattr(link.os, "symlink", refused)
    linker.link(str(source), str(tmp_path / "d"))
    assert (tmp_path / "d").read_bytes() == b"pixels"
    assert linker.how["symlink"] <= 2


def test_a_full_disk_is_not_mistaken_for_a_file_system_without_links(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(link.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(link.os, "link", full)
    with pytest.raises(OSError, match="No space"):
        link_file(str(source), str(tmp_path / "b.png"))
    assert not (tmp_path / "b.png").exists()
