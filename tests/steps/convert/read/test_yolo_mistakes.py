"""Every mistake in a YOLO dataset has a name, a file, a line and a cure, and never a traceback."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.convert.problems import DatasetRefused
from tests.steps.convert.read.folders import codes, only, read, refused, write

SIZE = (200, 100)
NAMES = "names: [bolt, nut]\n"
GOOD = "1 0.5 0.5 0.2 0.4\n"


def labeled(root: Path, label: str | bytes, *, more: str = "") -> Path:
    """Writes one image with a label file."""
    return write(root, {"data.yaml": f"train: images\n{NAMES}{more}", "images/a.jpg": SIZE, "labels/a.txt": label})


LINES: list[tuple[str, str, str]] = [
    ("2 .5 .5 .1 .1", "category_unknown", "class 2 is not one of the 2 classes, 0 to 1"),
    ("-1 .5 .5 .1 .1", "category_unknown", "class -1"),
    ("0.5 .5 .5 .1 .1", "category_unknown", "class 0.5"),
    ("nan .5 .5 .1 .1", "box_not_finite", "NaN"),
    ("0 nan .5 .1 .1", "box_not_finite", "NaN"),
    ("0 .5 inf .1 .1", "box_not_finite", "infinity"),
    ("0 .5 .5 1e400 .1", "box_not_finite", "infinity"),
    ("0 100 50 20 10", "label_not_normalised", "100 is no share"),
    ("0 .5 .5 .1 1.5", "label_not_normalised", "1.5"),
    ("0 -0.2 .5 .1 .1", "label_not_normalised", "-0.2"),
    ("0 .1 .1 .5 .1 .5 1.2", "label_not_normalised", "1.2"),
    ("0 .5 .5 .1", "label_malformed", "4 numbers"),
    ("0", "label_malformed", "a class alone"),
    ("0 .5 .5 .1 .1 .9", "label_malformed", "confidence"),
    ("0 .1 .1 .5 .1 .5 .5 .9", "label_malformed", "lacks a coordinate"),
    ("bolt .5 .5 .1 .1", "label_malformed", "'bolt' is no number"),
    ("0,.5,.5,.1,.1", "label_malformed", "no number"),
    ("0 .5 .5 .1 0x1", "label_malformed", "'0x1'"),
    ("0 .5 .5 .1 1_0", "label_malformed", "'1_0'"),
    ("0 .5 .5 .1 ０", "label_malformed", "'０'"),
    ("0 .5 .5 .1 --1", "label_malformed", "'--1'"),
]


@pytest.mark.parametrize(("line", "code", "words"), LINES)
def test_a_bad_line_is_told_and_the_others_are_read(tmp_path: Path, line: str, code: str, words: str) -> None:
    reading = read(labeled(tmp_path, f"{GOOD}\n{line}\n{GOOD}"))
    problem = only(reading)
    assert (problem.code, problem.file, problem.image_id, problem.level) == (code, "labels/a.txt", 1, "error")
    assert problem.message.startswith("line 3: ")
    assert words in problem.message
    assert reading.dataset.boxes.tolist() == [[80, 30, 40, 40]] * 2


@pytest.mark.parametrize("beyond", ["1.004", "-0.004"])
def test_rounding_of_less_than_a_pixel_is_no_mistake(tmp_path: Path, beyond: str) -> None:
    assert read(labeled(tmp_path, f"0 .1 .1 .5 .1 {beyond} .5\n")).problems == []


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (GOOD.encode("utf-16"), "no plain text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "no plain text"),
        ("1 .5 .5 .1 \ufffd".encode("utf-16-le")[:-1], "no plain text"),
        ("나사\n".encode("cp949"), "no number"),
    ],
)
def test_label_files_that_are_no_text(tmp_path: Path, label: bytes, words: str) -> None:
    problem = only(read(labeled(tmp_path, label)))
    assert (problem.code, problem.file) == ("label_malformed", "labels/a.txt")
    assert words in problem.message


def test_a_file_of_nothing_but_bad_lines_is_told_in_few_words(tmp_path: Path) -> None:
    reading = read(labeled(tmp_path, "a b c\n" * 5000))
    assert len(reading.problems) == 21
    assert "and 4980 more lines" in reading.problems[-1].message


def test_byte_order_marks_and_line_ends_are_no_mistakes(tmp_path: Path) -> None:
    for number, label in enumerate([b"\xef\xbb\xbf" + GOOD.encode(), b"1 .5 .5 .2 .4\r1\t.5 .5\x0c.2  .4 \r\n"]):
        reading = read(labeled(tmp_path / str(number), label))
        assert reading.problems == []
        assert reading.dataset.boxes.tolist() == [[80, 30, 40, 40]] * (number + 1)


@pytest.mark.parametrize(
    ("label", "code", "words"),
    [
        ("0 .5 .5 .1 .1 .5 .5 3 .5 .5 1\n", "keypoint_visibility", "keypoint 1"),
        ("0 .5 .5 .1 .1 .5 .5 2 .5 .5 .7\n", "keypoint_visibility", "keypoint 2"),
        ("0 .5 .5 .1 .1 .5 .5 2\n", "label_malformed", "makes it 11"),
        ("0 .5 .5 .1 .1\n", "label_malformed", "5 numbers"),
        ("0 .5 .5 .1 .1 .5 .5 2 40 .5 1\n", "label_not_normalised", "40"),
    ],
)
def test_mistakes_in_keypoints(tmp_path: Path, label: str, code: str, words: str) -> None:
    root = labeled(tmp_path, label, more="kpt_shape: [2, 3]\n")
    problem = only(read(root))
    assert problem.code == code
    assert words in problem.message


def test_keypoints_that_are_not_labeled_may_lie_anywhere(tmp_path: Path) -> None:
    label = "0 .5 .5 .1 .1 .5 .5 2 -7 9 0\n"
    assert read(labeled(tmp_path, label, more="kpt_shape: [2, 3]\n")).problems == []


DESCRIPTIONS: list[tuple[str, str, str]] = [
    ("nc: 2\nnames:\n", "class_names", ""),
    ("names: []\n", "classes_malformed", "list the class names"),
    ("names: bolt\n", "classes_malformed", "'bolt'"),
    ("names: {0: a, 2: b}\n", "classes_malformed", "without a gap"),
    ("names: {a: 0, b: 1}\n", "classes_malformed", "`a` is no number"),
    ("names: [a, a]\n", "category_duplicate", "class 0 and class 1"),
    ("names: [a, '']\n", "category_name", "class 1 has no name"),
    ("names: [a, [b]]\n", "category_name", "class 1"),
    ("names: [a, b\n", "document_broken", "line"),
    ("names: &x [a]\n", "document_broken", "line 2: an anchor"),
    ("- a\n", "document_broken", "line 2"),
    ("names: [a]\nkpt_shape: 17\n", "keypoint_shape", "[17, 3]"),
    ("names: [a]\nkpt_shape: [17, 4]\n", "keypoint_shape", "2 or 3"),
    ("names: [a]\nkpt_shape: [3, 3]\nflip_idx: [0, 1]\n", "keypoint_flip", "3 keypoints"),
    ("names: [a]\nkpt_shape: [2, 3]\nflip_idx: [0, 0]\n", "keypoint_flip", "0 to 1 once"),
]


@pytest.mark.parametrize(("text", "code", "words"), DESCRIPTIONS)
def test_mistakes_in_data_yaml(tmp_path: Path, text: str, code: str, words: str) -> None:
    write(tmp_path, {"data.yaml": f"train: images\n{text}", "images/a.jpg": SIZE})
    if code == "class_names":
        reading = read(tmp_path)
        assert only(reading).code == code
        assert [c.name for c in reading.dataset.classes] == ["class_0", "class_1"]
        return
    told = refused(tmp_path)
    assert f"[{code}] data.yaml: " in told
    assert words in told


def test_a_description_that_is_no_utf8(tmp_path: Path) -> None:
    write(tmp_path, {"data.yaml": "train: images\nnames: [나사]\n".encode("cp949"), "images/a.jpg": SIZE})
    assert "line 2" in refused(tmp_path)
    assert "save it as UTF-8" in refused(tmp_path)


def test_nothing_that_names_the_classes(tmp_path: Path) -> None:
    write(tmp_path, {"images/a.jpg": SIZE, "labels/a.txt": GOOD})
    assert "[classes_missing]" in refused(tmp_path)


def test_two_lists_of_other_classes(tmp_path: Path) -> None:
    write(tmp_path, {"a/classes.txt": "x\n", "b/classes.txt": "y\n", "a/i.jpg": SIZE})
    assert "a/classes.txt and b/classes.txt" in refused(tmp_path)


def test_nc_that_is_not_the_number_of_names(tmp_path: Path) -> None:
    problem = only(read(labeled(tmp_path, GOOD, more="nc: 3\n")))
    assert (problem.code, problem.level) == ("classes_count", "error")


@pytest.mark.parametrize(("key", "level"), [("val", "error"), ("test", "warning")])
def test_a_part_that_is_not_there(tmp_path: Path, key: str, level: str) -> None:
    problem = only(read(labeled(tmp_path, GOOD, more=f"{key}: ../other/images\n")))
    assert (problem.code, problem.level) == ("part_missing", level)
    assert f"`{key}: ../other/images`" in problem.message


def test_a_part_outside_of_the_dataset_is_never_looked_at(tmp_path: Path) -> None:
    write(tmp_path, {"secret/x.jpg": SIZE})
    root = labeled(tmp_path / "ds", GOOD, more="val: ../secret\n")
    reading = read(root)
    assert only(reading).code == "part_missing"
    assert reading.dataset.image_names == ["a.jpg"]


def test_an_image_in_two_parts(tmp_path: Path) -> None:
    problem = only(read(labeled(tmp_path, GOOD, more="val: images\n")))
    assert problem.code == "part_conflict"
    assert "in train and in val" in problem.message


def test_a_list_that_names_an_image_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path, {"data.yaml": f"train: train.txt\n{NAMES}", "train.txt": "images/a.jpg\nimages/b.jpg\n",
                     "images/a.jpg": SIZE})  # fmt: skip
    problem = only(read(tmp_path))
    assert (problem.code, problem.file) == ("image_missing", "train.txt")
    assert "line 2" in problem.message


def test_labels_without_images_and_images_that_share_a_label(tmp_path: Path) -> None:
    root = labeled(tmp_path, GOOD)
    write(root, {"labels/z.txt": GOOD, "labels/classes.txt": "bolt\n", "images/a.png": SIZE, "README.txt": "words"})
    reading = read(root)
    assert codes(reading.problems) == ["label_shared", "label_without_image"]
    assert [p.level for p in reading.problems] == ["error", "warning"]


def test_an_unreadable_image_does_not_make_its_labels_wrong(tmp_path: Path) -> None:
    root = labeled(tmp_path, GOOD)
    (root / "images/a.jpg").write_bytes(b"")
    reading = read(root)
    assert reading.problems == []
    assert reading.files is not None
    assert reading.files[0].problem is not None
    assert len(reading.dataset.boxes) == 1


@pytest.mark.parametrize("task", ["image_classification", "pose_estimation"])
def test_tasks_that_the_labels_do_not_serve(tmp_path: Path, task: str) -> None:
    assert "[task_unfit]" in refused(labeled(tmp_path, GOOD), task=task)


NUMBERS = ["0", "1", "2", "-1", ".5", "0.25", "1.0", "nan", "-inf", "1e3", "1e-3", "+.5", "5."]
TOKEN = st.sampled_from([*NUMBERS, "x", ",", "1_0", "\0", "é", "--"])
TEXT = st.lists(st.lists(TOKEN, max_size=13).map(" ".join), max_size=6).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(TEXT | st.binary(max_size=60), st.sampled_from(["", "kpt_shape: [2, 3]\n", "kpt_shape: [2, 2]\n"]))
def test_any_label_file_is_read_or_told(
    tmp_path_factory: pytest.TempPathFactory, label: str | bytes, more: str
) -> None:
    root = labeled(tmp_path_factory.mktemp("any"), label, more=more)
    try:
        reading = read(root)
    except DatasetRefused as refusal:
        assert refusal.problems[0].code == "obb_unsupported"
        return
    raw = label if isinstance(label, bytes) else label.encode()
    lines = [line for line in raw.replace(b"\r", b"\n").split(b"\n") if line.split()]
    told = sum(p.code != "labels_mixed" for p in reading.problems)
    if b"\0" not in raw and not raw.startswith(b"\xef\xbb\xbf"):
        assert len(reading.dataset.boxes) + told == len(lines)
    assert len(reading.dataset.annotation_class) == len(reading.dataset.boxes)
