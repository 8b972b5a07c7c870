"""Folders of classes: with and without parts, odd files in them, and names of all kinds."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from steps.convert.dataset import TEST, TRAIN, VAL
from tests.steps.convert.corpus import layouts
from tests.steps.convert.corpus.sample import sample
from tests.steps.convert.read.folders import codes, only, read, refused, write

SIZE = (20, 10)


def folder(root: Path, *names: str) -> Path:
    """Writes a picture for each name."""
    return write(root, dict.fromkeys(names, SIZE))


def test_the_sample_is_read(tmp_path: Path) -> None:
    given = sample(one_each=True)
    reading = read(layouts.write("ImageFolder", tmp_path, given, "image_classification"), "ImageFolder")
    dataset = reading.dataset
    assert reading.problems == []
    assert [*reading.contents] == ["."]  # the classes, of which an empty folder is one
    assert (dataset.layout, dataset.task) == ("ImageFolder", "image_classification")
    kinds = {f"{p.part}/{given.classes[p.labels[0].kind]}/{p.name}": p.labels[0].kind for p in given.pictures}
    assert dataset.image_names == sorted(kinds)
    assert dataset.annotation_class.tolist() == [kinds[name] for name in sorted(kinds)]
    assert dataset.image_ids.tolist() == dataset.annotation_ids.tolist() == list(range(1, 9))
    assert np.isnan(dataset.boxes).all()
    assert dataset.image_parts is not None
    assert dataset.image_parts.tolist() == [TRAIN] * 6 + [VAL] * 2
    assert reading.files is not None
    assert [file.key for file in reading.files] == dataset.image_names


def test_classes_alone_have_no_parts_and_hold_the_folders_below_them(tmp_path: Path) -> None:
    dataset = read(folder(tmp_path, "dog/a.jpg", "cat/b.jpg", "cat/x/y/c.PNG"), "ImageFolder").dataset
    assert [c.name for c in dataset.classes] == ["cat", "dog"]
    assert dataset.image_names == ["cat/b.jpg", "cat/x/y/c.PNG", "dog/a.jpg"]
    assert dataset.annotation_class.tolist() == [0, 0, 1]
    assert dataset.image_parts is None


@pytest.mark.parametrize("valid", ["val", "valid", "validation", "Val"])
def test_parts_go_by_many_names(tmp_path: Path, valid: str) -> None:
    dataset = read(folder(tmp_path, "train/a/1.jpg", f"{valid}/a/2.jpg", "test/a/3.jpg"), "ImageFolder").dataset
    assert dataset.image_parts is not None
    assert sorted(dataset.image_parts.tolist()) == [TRAIN, VAL, TEST]
    assert [c.name for c in dataset.classes] == ["a"]


def test_a_folder_train_full_of_images_is_a_class(tmp_path: Path) -> None:
    dataset = read(folder(tmp_path, "train/1.jpg", "bus/2.jpg", "car/3.jpg"), "ImageFolder").dataset
    assert [c.name for c in dataset.classes] == ["bus", "car", "train"]


def test_only_train_is_no_split(tmp_path: Path) -> None:
    dataset = read(folder(tmp_path, "train/a/1.jpg", "train/b/2.jpg"), "ImageFolder").dataset
    assert [c.name for c in dataset.classes] == ["a", "b"]
    assert dataset.image_parts is None


def test_test_images_without_classes_are_not_labeled(tmp_path: Path) -> None:
    reading = read(folder(tmp_path, "train/a/1.jpg", "val/a/2.jpg", "test/3.jpg", "test/4.jpg"), "ImageFolder")
    assert only(reading).code == "image_unlabeled"
    assert reading.dataset.image_labeled.tolist() == [False, False, True, True]
    assert reading.dataset.annotation_image.tolist() == [2, 3]


def test_what_lies_in_the_wrong_place_is_told(tmp_path: Path) -> None:
    folder(tmp_path, "train/a/1.jpg", "val/a/2.jpg", "train/3.jpg", "extra/b/4.jpg", "5.jpg")
    write(tmp_path, {"train/a/notes.txt": "x", "README.md": "x", "train/a/.hidden.jpg": "x", "__MACOSX/a/1.jpg": "x",
                     "train/a/._1.jpg": "x", "train/a/Thumbs.db": "x"})  # fmt: skip
    reading = read(tmp_path, "ImageFolder")
    told = {(p.code, p.file, p.level) for p in reading.problems}
    assert told == {
        ("file_ignored", "train/a/notes.txt", "warning"), ("image_without_class", "train/3.jpg", "error"),
        ("image_unlisted", "extra/b/4.jpg", "warning"), ("image_unlisted", "5.jpg", "warning"),
    }  # fmt: skip
    assert reading.dataset.image_names == ["train/a/1.jpg", "val/a/2.jpg"]


def test_many_odd_files_are_told_in_few_words(tmp_path: Path) -> None:
    write(folder(tmp_path, "a/1.jpg", "b/1.jpg"), {f"a/{n}.txt": "" for n in range(150)})
    problems = read(tmp_path, "ImageFolder").problems
    assert codes(problems) == ["file_ignored"] * 101
    assert problems[-1].message == "and 50 more files like these"


def test_empty_class_folders_are_classes(tmp_path: Path) -> None:
    folder(tmp_path, "train/a/1.jpg", "val/a/2.jpg")
    (tmp_path / "train/b").mkdir()
    assert [c.name for c in read(tmp_path, "ImageFolder").dataset.classes] == ["a", "b"]


def test_unicode_forms_of_one_class_are_one_and_cases_are_two_with_a_word(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "가방")
    reading = read(folder(tmp_path, "train/가방/1.jpg", f"val/{apart}/2.jpg", "train/Cat/3.jpg", "val/cat/4.jpg"),
                   "ImageFolder")  # fmt: skip
    assert [c.name for c in reading.dataset.classes] == ["Cat", "cat", "가방"]
    assert only(reading).code == "class_names"


def test_ten_thousand_classes(tmp_path: Path) -> None:
    folder(tmp_path, *(f"class {n:05d}/a.jpg" for n in range(10_000)))
    dataset = read(tmp_path, "ImageFolder").dataset
    assert len(dataset.classes) == len(dataset.image_names) == 10_000
    assert dataset.annotation_class.tolist() == list(range(10_000))


def test_other_tasks_are_refused_by_name(tmp_path: Path) -> None:
    assert "[task_unfit]" in refused(folder(tmp_path, "a/1.jpg"), "ImageFolder", task="object_detection")


def test_a_class_of_blanks_is_refused(tmp_path: Path) -> None:
    found = read(
        folder(tmp_path, *(f"{part}/{kind}/a.png" for part in ("train", "val") for kind in ("  ", "cat"))),
        "ImageFolder",
    )
    assert "category_name" in [problem.code for problem in found.problems]
