"""YOLO datasets as people have them: boxes, polygons, keypoints, parts in folders and lists, names in any spelling."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from steps.convert.dataset import NO_PART, TEST, TRAIN, VAL
from tests.steps.convert.corpus import layouts
from tests.steps.convert.corpus.sample import sample
from tests.steps.convert.read.folders import codes, only, read, refused, write

SIZE = (200, 100)
NAMES = "names: [bolt, nut]\n"


def plain(root: Path, label: str = "1 0.5 0.5 0.2 0.4\n", *, more: str = "") -> Path:
    """Writes one image in train with a label file, and one in val that is a negative."""
    return write(root, {
        "data.yaml": f"path: .\ntrain: images/train\nval: images/val\n{NAMES}{more}",
        "images/train/a.jpg": SIZE, "labels/train/a.txt": label, "images/val/b.jpg": SIZE,
    })  # fmt: skip


@pytest.mark.parametrize("layout", ["YOLO", "D5"])
@pytest.mark.parametrize("task", ["object_detection", "instance_segmentation", "pose_estimation"])
def test_the_sample_is_read_with_its_task_guessed(tmp_path: Path, layout: str, task: str) -> None:
    given = sample()
    reading = read(layouts.write(layout, tmp_path, given, task), layout)
    dataset = reading.dataset
    labels = [label for picture in given.pictures for label in picture.labels]
    assert reading.problems == []
    assert (dataset.layout, dataset.task) == (layout, task)
    assert [c.name for c in dataset.classes] == ["bolt", "nut"]
    folder = {"val": "valid"} if layout == "D5" else {}
    names = [f"{folder.get(picture.part, picture.part)}/{picture.name}" for picture in given.pictures]
    assert dataset.image_names == names
    assert dataset.image_sizes.tolist() == [list(picture.size) for picture in given.pictures]
    assert dataset.image_parts is not None
    assert [("train", "val")[part] for part in dataset.image_parts] == [picture.part for picture in given.pictures]
    assert dataset.annotation_class.tolist() == [label.kind for label in labels]
    assert dataset.boxes.tolist() == [list(map(float, label.box)) for label in labels]
    assert reading.files is not None
    assert all(file.path and Path(file.path).is_file() for file in reading.files)
    if task == "instance_segmentation":
        assert dataset.outlines is not None
        assert dataset.outlines.points.ravel().tolist() == [n for label in labels for n in label.outline]
        assert dataset.outlines.first_ring.tolist() == list(range(len(labels) + 1))
    if task == "pose_estimation":
        assert dataset.keypoints is not None
        assert dataset.keypoints.tolist() == [[list(map(float, point)) for point in label.points] for label in labels]
        assert dataset.flip_idx == (0, 2, 1)


def test_outlines_and_keypoints_are_read_where_they_are_needed(tmp_path: Path) -> None:
    outlined = layouts.write("YOLO", tmp_path / "a", sample(), "instance_segmentation")
    posed = layouts.write("YOLO", tmp_path / "b", sample(), "pose_estimation")
    assert read(outlined, task="object_detection").dataset.outlines is None
    assert read(outlined, task="object_detection", everything=True).dataset.outlines is not None
    assert read(posed, task="object_detection").dataset.keypoints is None
    assert read(posed, task="object_detection", everything=True).dataset.keypoints is not None
    assert read(outlined, task="object_detection").dataset.boxes.tolist() == read(outlined).dataset.boxes.tolist()


def test_an_image_without_a_label_file_or_with_an_empty_one_is_a_negative(tmp_path: Path) -> None:
    write(plain(tmp_path), {"images/val/c.jpg": SIZE, "labels/val/c.txt": " \n"})
    dataset = read(tmp_path).dataset
    assert dataset.annotation_image.tolist() == [0]
    assert dataset.image_labeled.all()
    assert dataset.boxes.tolist() == [[80.0, 30.0, 40.0, 40.0]]


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("../train/images", "../valid/images"),
        ("train", "valid"),
        ("./train/images/", "[valid/images, ]"),
        ("/home/me/ds/train/images", "/home/me/ds/valid/images"),
        ("'C:\\ds\\train\\images'", "'C:\\ds\\valid\\images'"),
    ],
)
def test_roboflows_folders_are_found_however_they_are_written(tmp_path: Path, train: str, val: str) -> None:
    write(tmp_path, {
        "data.yaml": f"{NAMES}nc: 2\ntrain: {train}\nval: {val}\ntest: ../test/images\n"
        "roboflow:\n  workspace: w\n  url: https://x\n",
        "README.roboflow.txt": "words", "train/images/a.jpg": SIZE, "train/labels/a.txt": "0 .5 .5 .1 .1",
        "valid/images/b.jpg": SIZE, "valid/labels/b.txt": "1 .5 .5 .1 .1",
    })  # fmt: skip
    reading = read(tmp_path, "D5")
    assert reading.dataset.image_names == ["train/a.jpg", "valid/b.jpg"]
    assert reading.dataset.image_parts is not None
    assert reading.dataset.image_parts.tolist() == [TRAIN, VAL]
    assert only(reading).code == "part_missing"
    assert only(reading).level == "warning"


def test_a_test_folder_that_data_yaml_does_not_name_is_the_test_part(tmp_path: Path) -> None:
    write(tmp_path, {
        "data.yaml": f"{NAMES}train: ../train/images\nval: ../valid/images\n", "train/images/a.jpg": SIZE,
        "valid/images/b.jpg": SIZE, "test/images/c.jpg": SIZE,
    })  # fmt: skip
    dataset = read(tmp_path, "D5").dataset
    assert dataset.image_parts is not None
    assert dataset.image_parts.tolist() == [TEST, TRAIN, VAL]


def test_parts_as_lists_of_images(tmp_path: Path) -> None:
    write(tmp_path, {
        "data.yaml": f"path: ../datasets/x\ntrain: [train.txt, more]\nval: lists/val.txt\n{NAMES}",
        "images/a.jpg": SIZE, "images/b.jpg": SIZE, "more/c.jpg": SIZE, "labels/a.txt": "0 .5 .5 .1 .1",
        "train.txt": "./images/a.jpg\n\n", "lists/val.txt": "/home/me/x/images/b.jpg\r\n",
    })  # fmt: skip
    reading = read(tmp_path)
    assert reading.problems == []
    assert reading.dataset.image_names == ["a.jpg", "b.jpg", "more/c.jpg"]
    assert reading.dataset.image_parts is not None
    assert reading.dataset.image_parts.tolist() == [TRAIN, VAL, TRAIN]


def test_darknet_as_cvat_exports_it(tmp_path: Path) -> None:
    write(tmp_path, {
        "obj.data": "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n",
        "obj.names": "bolt\nnut\n\n", "train.txt": "data/obj_train_data/a.png\ndata/obj_train_data/sub/b.png\n",
        "obj_train_data/a.png": SIZE, "obj_train_data/a.txt": "1 .5 .5 .1 .1\n", "obj_train_data/sub/b.png": SIZE,
    })  # fmt: skip
    reading = read(tmp_path)
    assert reading.problems == []
    assert reading.dataset.document == "obj.data"
    assert [c.name for c in reading.dataset.classes] == ["bolt", "nut"]
    assert reading.dataset.annotation_class.tolist() == [1]
    assert reading.dataset.image_parts is None


@pytest.mark.parametrize(
    ("names", "content"),
    [
        ("classes.txt", "bolt\r\nnut\r\n"),
        ("labels/classes.txt", "bolt\nnut"),
        ("obj.names", "bolt\nnut\n"),
        ("notes.json", '{"categories": [{"id": 1, "name": "nut"}, {"id": 0, "name": "bolt"}]}'),
    ],
)
def test_datasets_that_only_list_their_classes(tmp_path: Path, names: str, content: str) -> None:
    write(tmp_path, {names: content, "images/a.jpg": SIZE, "labels/a.txt": "1 .5 .5 .1 .1\n", "preview.png": SIZE})
    reading = read(tmp_path)
    assert [c.name for c in reading.dataset.classes] == ["bolt", "nut"]
    assert reading.dataset.image_names == ["a.jpg"]
    assert codes(reading.problems) == ["image_unlisted"]
    assert reading.dataset.image_parts is None


def test_labels_beside_the_images_and_parts_by_folder(tmp_path: Path) -> None:
    write(tmp_path, {
        "classes.txt": "bolt\n", "train/a.jpg": SIZE, "train/a.txt": "0 .5 .5 .1 .1", "val2017/b.jpg": SIZE,
        "rest/c.jpg": SIZE,
    })  # fmt: skip
    dataset = read(tmp_path).dataset
    assert dataset.image_parts is not None
    assert dict(zip(dataset.image_names, dataset.image_parts.tolist(), strict=True)) == {
        "train/a.jpg": TRAIN, "val2017/b.jpg": VAL, "rest/c.jpg": NO_PART,
    }  # fmt: skip
    assert dataset.annotation_image.tolist() == [1]


def test_ids_follow_the_sorted_names_of_the_images(tmp_path: Path) -> None:
    files: dict[str, object] = {f"images/{name}.jpg": SIZE for name in ("b", "a", "c")}
    files |= {f"labels/{name}.txt": f"0 .5 .5 .{n} .1\n1 .5 .5 .1 .1\n" for n, name in enumerate("abc", 1)}
    dataset = read(write(tmp_path, {"classes.txt": "x\ny\n", **files})).dataset  # type: ignore[dict-item]
    assert dataset.image_names == ["a.jpg", "b.jpg", "c.jpg"]
    assert dataset.image_ids.tolist() == [1, 2, 3]
    assert dataset.annotation_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert dataset.annotation_image.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.round(dataset.boxes[::2, 2]).tolist() == [20, 40, 60]


@pytest.mark.parametrize("name", ["사진 1", "😀", "a b", "x..", "a.b.c", "é", "-n", "100%", "it's", 'q"q', "#1"])
def test_names_of_all_kinds(tmp_path: Path, name: str) -> None:
    write(tmp_path, {
        "data.yaml": f"train: images/train\n{NAMES}", f"images/train/{name}.jpg": SIZE,
        f"labels/train/{name}.txt": "1 .5 .5 .1 .1",
    })  # fmt: skip
    reading = read(tmp_path)
    assert reading.problems == []
    assert reading.dataset.image_names == [f"train/{name}.jpg"]
    assert len(reading.dataset.boxes) == 1


def test_names_in_another_unicode_form_or_case_are_matched_with_a_word(tmp_path: Path) -> None:
    taken_apart = unicodedata.normalize("NFD", "가방")
    write(tmp_path, {
        "data.yaml": f"train: images\n{NAMES}", f"images/{taken_apart}.JPG": SIZE, "images/Nut.jpg": SIZE,
        "labels/가방.txt": "1 .5 .5 .1 .1", "labels/nut.txt": "1 .5 .5 .1 .1",
    })  # fmt: skip
    reading = read(tmp_path)
    assert only(reading).code == "name_form"
    assert only(reading).level == "warning"
    assert "2 label files" in only(reading).message
    assert reading.dataset.annotation_image.tolist() == [0, 1]


def test_class_names_stay_as_they_are_written(tmp_path: Path) -> None:
    names = "names:\n  0: yes\n  1: '007'\n  2: 1.50\n  3: 나사 😀\n  4: __background__\n"
    write(tmp_path, {"data.yaml": f"train: images\n{names}", "images/a.jpg": SIZE, "labels/a.txt": "4 .5 .5 1 1"})
    dataset = read(tmp_path).dataset
    assert [c.name for c in dataset.classes] == ["yes", "007", "1.50", "나사 😀"]
    assert dataset.annotation_class.tolist() == [-1]


def test_ten_thousand_classes(tmp_path: Path) -> None:
    names = "".join(f"- class {n}\n" for n in range(10_000))
    write(tmp_path, {"data.yaml": f"train: images\nnames:\n{names}", "images/a.jpg": SIZE,
                     "labels/a.txt": "9999 .5 .5 .1 .1"})  # fmt: skip
    dataset = read(tmp_path).dataset
    assert dataset.classes[9999].name == "class 9999"
    assert dataset.annotation_class.tolist() == [9999]


def test_keypoints_of_two_numbers_are_unlabeled_where_they_are_negative_or_zero(tmp_path: Path) -> None:
    plain(tmp_path, "0 .5 .5 .5 .5 .25 .5 0 0 -1 -1\n", more="kpt_shape: [3, 2]\n")
    keypoints = read(tmp_path).dataset.keypoints
    assert keypoints is not None
    assert keypoints.tolist() == [[[50.0, 50.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]


def test_a_turned_photograph_is_measured_as_it_is_shown(tmp_path: Path) -> None:
    from PIL import Image

    plain(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(tmp_path / "images/train/a.jpg") as image:
        image.save(tmp_path / "images/train/a.jpg", exif=exif)
    dataset = read(tmp_path).dataset
    assert dataset.image_sizes[0].tolist() == [100, 200]
    assert dataset.boxes[0].tolist() == [40.0, 60.0, 20.0, 80.0]


def test_the_version_is_made_of_meaning_not_of_line_ends_or_parts(tmp_path: Path) -> None:
    first = read(plain(tmp_path / "a")).contents
    write(plain(tmp_path / "b", "1 0.5 0.5 0.2 0.4\r\n"), {"labels/val/b.txt": "\n"})
    (tmp_path / "b/data.yaml").write_text("# by me\nnames: {0: 'bolt', 1: nut}\nval: images/val\ntrain: images/train\n")
    assert read(tmp_path / "b").contents == first
    assert read(plain(tmp_path / "c", "0 0.5 0.5 0.2 0.4\n")).contents != first
    assert sorted(first) == ["data.yaml", "labels/train/a.txt"]


OBB = "0 .5 .2 .8 .5 .5 .8 .2 .5\n1 .3 .3 .4 .35 .35 .45 .25 .4\n"


def test_oriented_boxes_are_refused_by_name(tmp_path: Path) -> None:
    square = (100, 100)
    files = {"data.yaml": f"train: images\n{NAMES}", "images/a.jpg": square, "labels/a.txt": OBB}
    write(tmp_path / "a", files)  # type: ignore[arg-type]
    assert "[obb_unsupported]" in refused(tmp_path / "a")
    assert "[obb_unsupported]" in refused(tmp_path / "a", task="object_detection")
    reading = read(tmp_path / "a", task="instance_segmentation")
    assert only(reading).code == "obb"
    assert reading.dataset.outlines is not None
    write(tmp_path / "b", {**files, "data.yaml": f"train: images\ntask: obb\n{NAMES}"})  # type: ignore[arg-type]
    assert "task: obb" in refused(tmp_path / "b", task="instance_segmentation")


@pytest.mark.parametrize(
    "label",
    ["0 .1 .1 .5 .1 .5 .5 .1 .5\n", "0 .1 .1 .9 .2 .6 .8 .1 .5\n", OBB + "0 .1 .1 .5 .1 .5 .5\n"],
    ids=["along the axes", "no rectangle", "a triangle among them"],
)
def test_polygons_of_four_points_are_no_oriented_boxes(tmp_path: Path, label: str) -> None:
    assert read(plain(tmp_path, label)).dataset.task == "instance_segmentation"


def test_boxes_among_polygons_make_it_a_detection_with_a_word(tmp_path: Path) -> None:
    reading = read(plain(tmp_path, "0 .1 .1 .5 .1 .5 .5\n0 .5 .5 .2 .2\n"))
    assert reading.dataset.task == "object_detection"
    assert only(reading).code == "labels_mixed"
    assert reading.dataset.boxes.round(6).tolist() == [[20, 10, 80, 40], [80, 40, 40, 20]]
