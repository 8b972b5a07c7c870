"""A zip is taken apart safely: nothing is written outside, nothing larger than declared, nothing twice."""

import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.download.archive import Archive
from steps.download.entries import decoded_name
from steps.download.reader import LocalReader
from steps.download.source import unsafe
from steps.trainer_sdk import TrainerError

Make = Callable[[zipfile.ZipFile], None]


def opened(path: Path, *, uri: str = "u.zip") -> Archive:
    """Opens a zip of this machine and looks its list of entries through."""
    archive = Archive(LocalReader(path), uri=uri)
    archive.sizes()
    return archive


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("images/a.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/passwd")


def fifo(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("images/a.png")
    entry.external_attr = (stat.S_IFIFO | 0o666) << 16
    archive.writestr(entry, "")


def twice(archive: zipfile.ZipFile) -> None:
    archive.writestr("a.png", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("a.png", "2")


def file_and_folder(archive: zipfile.ZipFile) -> None:
    archive.writestr("a", "1")
    archive.writestr("a/b", "2")


CORPUS: dict[str, tuple[Make, str]] = {
    "climbing": (lambda z: z.writestr("images/../../a.png", "x"), "climbs"),
    "a path of 2,100 folders": (lambda z: z.writestr("a/" * 2100 + "b.txt", "x"), "longer than 1024 bytes"),
    "a name of 300 bytes": (lambda z: z.writestr("a" * 300 + ".txt", "x"), "longer than 255 bytes"),
    "climbing at once": (lambda z: z.writestr("../a.png", "x"), "climbs"),
    "absolute": (lambda z: z.writestr("/etc/a.png", "x"), "absolute"),
    "a drive": (lambda z: z.writestr("C:/a.png", "x"), "absolute"),
    "a backslash": (lambda z: z.writestr("images\\a.png", "x"), "backslash"),
    "a control character": (lambda z: z.writestr("a\n.png", "x"), "control character"),
    "a link": (link, "a link"),
    "a fifo": (fifo, "special file"),
    "an entry twice": (twice, "twice"),
    "a file that is a folder": (file_and_folder, "a file and a folder"),
    "a bomb": (lambda z: z.writestr("a.bin", bytes(40 << 20), zipfile.ZIP_DEFLATED), "a bomb"),
    "many small bombs": (
        lambda z: [z.writestr(f"{n}.bin", bytes(8 << 20), zipfile.ZIP_DEFLATED) for n in range(4)] and None,
        "a bomb",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CORPUS)
def test_a_dangerous_zip_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    make, words = CORPUS[kind]
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as archive:
        make(archive)
    with pytest.raises(TrainerError, match=words) as caught:
        opened(path, uri="s3://b/bad.zip")
    assert "s3://b/bad.zip" in str(caught.value)


@pytest.mark.parametrize("name", ["top//etc/a.png", ".//etc/a.png", "top///etc//a.png"])
def test_a_doubled_slash_does_not_become_the_root(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, "x")
    found = opened(tmp_path / "a.zip")
    [place] = found.sizes()
    assert (tmp_path / place).is_relative_to(tmp_path)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    assert found.fetch(place, str(tmp_path / place)).size == 1
    assert (tmp_path / place).read_text() == "x"


def sound(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images/a.bin", b"abcdefgh" * 500)
        archive.writestr("annotations.json", "{}")
    return path


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.zip")
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"abcdefgh") + 5] ^= 1
    path.write_bytes(raw)
    archive = opened(path)
    with pytest.raises(TrainerError, match=r"images/a\.bin cannot be unpacked"):
        archive.fetch("images/a.bin", str(tmp_path / "out.bin"))
    archive.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_an_entry_that_unpacks_to_more_than_it_declares_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.zip")
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"images/a.bin"))
    raw[at + 24 : at + 28] = struct.pack("<I", 100)
    path.write_bytes(raw)
    archive = opened(path)
    with pytest.raises(TrainerError, match="cannot be unpacked"):
        archive.fetch("images/a.bin", str(tmp_path / "out.bin"))
    archive.close()


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_cut_zip_is_refused(tmp_path: Path, keep: int) -> None:
    path = sound(tmp_path / "a.zip")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainerError, match="cannot be unpacked"):
        opened(path)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = sound(tmp_path / "a.zip")
    raw = bytearray(path.read_bytes())
    at = raw.rindex(b"PK\x01\x02", 0, raw.rindex(b"images/a.bin"))
    raw[at + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(TrainerError, match="encrypted"):
        opened(path)


@given(st.text(min_size=1, max_size=12))
def test_a_name_that_passes_never_leaves_its_folder(name: str) -> None:
    if unsafe(name) is None:
        inside = Path("/root/of/it", name)
        assert ".." not in inside.parts
        assert inside.is_relative_to("/root/of/it")


@pytest.mark.parametrize(
    ("raw", "flag", "name"),
    [
        ("부품.png".encode(), 0, "부품.png"),
        ("부품.png".encode("cp949"), 0, "부품.png"),
        ("부품.png".encode(), 0x800, "부품.png"),
        (b"plain.png", 0, "plain.png"),
        (b"\xff\xff.png", 0, b"\xff\xff.png".decode("cp437")),
    ],
)
def test_names_are_decoded_as_they_were_meant(raw: bytes, flag: int, name: str) -> None:
    entry = zipfile.ZipInfo(raw.decode("utf-8" if flag else "cp437"))
    entry.flag_bits = flag
    assert decoded_name(entry) == name


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["ds/annotations.json", "ds/images/a.png"], {"annotations.json", "images/a.png"}),
        (["annotations.json", "images/a.png"], {"annotations.json", "images/a.png"}),
        (["images/a.png", "images/b.png"], {"images/a.png", "images/b.png"}),
        (["ds/a.json", "__MACOSX/ds/._a.json", "ds/.DS_Store"], {"a.json"}),
    ],
)
def test_one_top_folder_is_left_away(tmp_path: Path, names: list[str], wanted: set[str]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    archive = opened(tmp_path / "a.zip")
    assert set(archive.sizes()) == wanted
    archive.close()
