"""A document's images are found though an archive spells their names otherwise; never where that could be another's."""

import unicodedata
from pathlib import Path

from steps.convert.check.inspection import inspect
from steps.convert.convert import convert
from steps.convert.problems import errors
from tests.steps.convert.making import document, write

NFC, NFD = (unicodedata.normalize(form, "café/é.png") for form in ("NFC", "NFD"))


def dataset(root: Path, first: str, second: str = "line/002.png") -> Path:
    value = document(10)
    value["images"][0]["file_name"], value["images"][1]["file_name"] = first, second
    return write(root, value)


def moved(root: Path, old: str, new: str) -> None:
    (root / "images" / new).parent.mkdir(parents=True, exist_ok=True)
    (root / "images" / old).rename(root / "images" / new)


def test_names_taken_apart_by_macos_are_found_with_one_warning(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds", NFC, "line/Two.PNG")
    moved(root, NFC, NFD)
    moved(root, "line/Two.PNG", "line/two.png")
    found = inspect(root, task="object_detection")
    assert found.sound, [problem.line() for problem in found.problems]
    (told,) = (problem for problem in found.problems if problem.code == "name_form")
    assert (told.level, "2 images are spelled otherwise" in told.message) == ("warning", True)
    assert found.files[0].key == f"images/{NFD}"
    convert(root, work_dir=tmp_path / "w", target="yolo", task="object_detection")
    assert len([*(tmp_path / "w/converted/images").rglob("*.*")]) == 10


def test_a_file_that_another_entry_names_is_not_taken(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds", "line/A.png", "line/a.png")
    (root / "images/line/A.png").unlink()
    assert [problem.code for problem in errors(inspect(root).problems)] == ["image_missing"]


def test_a_file_with_two_likenesses_is_missing(tmp_path: Path) -> None:
    root = dataset(tmp_path / "ds", "line/AbC.png")
    moved(root, "line/AbC.png", "line/abc.png")
    (root / "images/line/ABC.png").write_bytes((root / "images/line/abc.png").read_bytes())
    assert [problem.code for problem in errors(inspect(root).problems)] == ["image_missing"]
