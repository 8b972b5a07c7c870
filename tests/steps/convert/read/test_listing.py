"""A dataset's files are listed once each, whatever links, loops, lengths and spellings there are."""

import os
import unicodedata
from pathlib import Path

import pytest

from steps.convert.read.listing import LONGEST, Lookup, list_files
from tests.steps.convert.read.folders import codes, read, write

SIZE = (20, 10)


def test_names_are_sorted_and_litter_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, dict.fromkeys(("b/x.jpg", "a.txt", ".git/y", "__MACOSX/z", "b/._x.jpg", "b/Thumbs.db"), ""))
    listing = list_files(tmp_path, contained=True)
    assert listing.names == ["a.txt", "b/x.jpg"]
    assert listing.folders == {"b"}
    assert listing.problems == []


def test_loops_of_links_end_with_a_word(tmp_path: Path) -> None:
    write(tmp_path, {"a/x.jpg": "", "a/b/y.jpg": ""})
    (tmp_path / "a/b/up").symlink_to("..")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "top").symlink_to(tmp_path)
    listing = list_files(tmp_path, contained=True)
    assert listing.names == ["a/b/y.jpg", "a/x.jpg"]
    assert codes(listing.problems) == ["file_missing", "link_loop", "link_loop"]


def test_links_that_double_at_every_step_are_followed_once(tmp_path: Path) -> None:
    for n in range(30):
        (tmp_path / f"d{n}").mkdir()
        for side in "lr":
            (tmp_path / f"d{n}" / side).symlink_to(tmp_path / f"d{n + 1}")
    (tmp_path / "d30").mkdir()
    assert set(codes(list_files(tmp_path, contained=True).problems)) == {"link_loop"}


@pytest.mark.parametrize("contained", [True, False])
def test_links_out_of_the_dataset_are_followed_only_where_it_is_allowed(tmp_path: Path, contained: bool) -> None:
    write(tmp_path, {"other/x.jpg": "", "ds/a.jpg": ""})
    (tmp_path / "ds/linked").symlink_to(tmp_path / "other")
    (tmp_path / "ds/b.jpg").symlink_to(tmp_path / "other/x.jpg")
    listing = list_files(tmp_path / "ds", contained=contained)
    assert listing.names == (["a.jpg"] if contained else ["a.jpg", "b.jpg", "linked/x.jpg"])
    assert codes(listing.problems) == (["path_unsafe"] * 2 if contained else [])


def test_a_label_file_that_is_a_link_out_of_the_dataset_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, {"secret": "0 .5 .5 .1 .1", "ds/classes.txt": "x\n", "ds/images/a.jpg": SIZE})
    (tmp_path / "ds/labels").mkdir()
    (tmp_path / "ds/labels/a.txt").symlink_to(tmp_path / "secret")
    reading = read(tmp_path / "ds", "YOLO")
    assert codes(reading.problems) == ["path_unsafe"]
    assert len(reading.dataset.boxes) == 0


def test_a_path_of_four_thousand_characters_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": ""})
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(20):
            os.mkdir("x" * 200)
            os.chdir("x" * 200)
        Path("y.jpg").write_text("")
    finally:
        os.chdir(here)
    listing = list_files(tmp_path, contained=True)
    assert listing.names == ["a.jpg"]
    assert codes(listing.problems) == ["path_too_long"]
    assert str(LONGEST) in listing.problems[0].message
    assert len(listing.problems[0].line()) < 400


def test_names_that_are_no_text_are_refused_by_name(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xb0\xa1.jpg")).write_text("")
    listing = list_files(tmp_path, contained=True)
    assert listing.names == []
    assert codes(listing.problems) == ["name_not_text"]
    listing.problems[0].line().encode()


def test_pipes_and_links_to_nowhere_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").symlink_to("nowhere")
    assert codes(list_files(tmp_path, contained=False).problems) == ["file_missing", "file_missing"]


def test_a_lookup_prefers_the_name_as_written() -> None:
    apart = unicodedata.normalize("NFD", "é")
    lookup = Lookup(["é.txt", f"{apart}.txt", "A.txt", "b.txt", "B.txt"])
    assert lookup.find("é.txt") == "é.txt"
    assert lookup.find(f"{apart}.txt") == f"{apart}.txt"
    assert lookup.find("a.txt") == "A.txt"
    assert lookup.find("É.txt") is None, "two spellings fit"
    assert lookup.find("c.txt") is None
    assert lookup.forms == [("a.txt", "A.txt")]


def test_a_link_to_a_folder_that_holds_the_dataset_is_not_entered(tmp_path: Path) -> None:
    root = tmp_path / "around/dataset"
    (root / "train").mkdir(parents=True)
    (tmp_path / "around/other.jpg").write_bytes(b"x")
    for name, target in (("up", "../.."), ("all", "/"), ("itself", ".."), ("around", tmp_path / "around")):
        (root / "train" / name).symlink_to(target)
    listing = list_files(root, contained=False)
    assert listing.names == []
    assert codes(listing.problems) == ["link_loop"] * 4
