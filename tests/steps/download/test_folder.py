"""Links and depths of a folder on this machine: followed as far as makes sense, refused by name beyond."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.download.folder import Folder
from steps.trainer_sdk import TrainerError


def test_links_that_double_with_each_folder_are_refused_soon(tmp_path: Path) -> None:
    for level in range(24):
        (tmp_path / f"l{level}").mkdir()
    (tmp_path / "l23" / "x.png").write_bytes(b"x")
    for level in range(23):
        for name in ("a", "b"):
            os.symlink(f"../l{level + 1}", tmp_path / f"l{level}" / name)
    began = time.monotonic()
    with pytest.raises(TrainerError, match="in more than 100 ways"):
        Folder(tmp_path, uri=f"file://{tmp_path}/").sizes()
    assert time.monotonic() - began < 10


def test_a_folder_may_be_reached_by_several_names(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "x.png").write_bytes(b"x")
    for name in ("train", "val"):
        os.symlink("all", tmp_path / name)
    assert set(Folder(tmp_path, uri="file://x/").sizes()) == {"all/x.png", "train/x.png", "val/x.png"}


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder that is removed by somebody who minds no depth: neither pytest nor shutil."""
    yield tmp_path
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_folders_without_end_are_refused_by_name(deep: Path) -> None:
    here = os.open(deep, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(TrainerError, match="longer than 1024 bytes"):
        Folder(deep, uri=f"file://{deep}/").sizes()
