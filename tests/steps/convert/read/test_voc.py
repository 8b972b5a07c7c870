"""Pascal VOC datasets: genuine ones, what tools export under that name, and BCCD with its real flaws."""

import unicodedata
from pathlib import Path

import pytest

from steps.convert.dataset import NO_PART, TEST, TRAIN, VAL
from tests.steps.convert.corpus import layouts
from tests.steps.convert.corpus.sample import sample
from tests.steps.convert.read.folders import codes, only, read, refused, write

SIZE = (200, 100)
BCCD = Path(__file__).resolve().parents[5] / "shared" / "data" / "bccd"
BOX = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"


def xml(*objects: str, image: str = "a.jpg", size: tuple[int, int] | None = SIZE, more: str = "") -> str:
    """Gives the text of an annotation file."""
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    inside = "".join(f"<object>{one}</object>" for one in objects)
    return f"<annotation><filename>{image}</filename>{more}{sides}{inside}</annotation>"


def named(name: str = "bolt", more: str = "", box: str = BOX) -> str:
    """Gives the inside of an object."""
    return f"<name>{name}</name>{more}{box}"


def single(root: Path, text: str | bytes) -> Path:
    """Writes one image with its annotation file."""
    return write(root, {"Annotations/a.xml": text, "JPEGImages/a.jpg": SIZE})


def test_the_sample_is_read(tmp_path: Path) -> None:
    given = sample()
    reading = read(layouts.write("VOC", tmp_path, given), "VOC")
    dataset = reading.dataset
    labels = [label for picture in given.pictures for label in picture.labels]
    assert reading.problems == []
    assert (dataset.layout, dataset.task) == ("VOC", "object_detection")
    assert [(c.id, c.name) for c in dataset.classes] == [(0, "bolt"), (1, "nut")]
    assert dataset.image_names == [picture.name for picture in given.pictures]
    assert dataset.image_root == "JPEGImages/"
    assert dataset.boxes.tolist() == [list(map(float, label.box)) for label in labels]
    assert dataset.image_parts is not None
    assert [("train", "val")[part] for part in dataset.image_parts] == [picture.part for picture in given.pictures]
    assert dataset.image_documents is not None
    assert dataset.image_documents[0] == "Annotations/t000.xml"
    assert sorted(reading.contents) == dataset.image_documents
    assert reading.files is None


def test_coordinates_are_edges_but_where_the_file_says_that_it_is_pascals(tmp_path: Path) -> None:
    said = "<source><database>{}</database></source>"
    for database, box in [
        ("Unknown", [10, 20, 50, 30]),
        ("roboflow.com", [10, 20, 50, 30]),
        ("The VOC2007 Database", [9, 19, 51, 31]),
    ]:
        root = single(tmp_path / database[:5], xml(named(), more=said.format(database)))
        reading = read(root, "VOC")
        assert reading.dataset.boxes.tolist() == [box]
        assert ("numbered from 1" if box[0] == 9 else "edges") in reading.notes[0]


def test_fractions_are_kept(tmp_path: Path) -> None:
    box = "<bndbox><xmin>10.25</xmin><xmax>60.5</xmax><ymax>5e1</ymax><ymin>20</ymin></bndbox>"
    assert read(single(tmp_path, xml(named(box=box))), "VOC").dataset.boxes.tolist() == [[10.25, 20, 50.25, 30]]


def test_an_image_without_objects_is_a_negative_and_one_without_a_file_is_unlabeled(tmp_path: Path) -> None:
    root = write(single(tmp_path, xml()), {"JPEGImages/b.jpg": SIZE, "JPEGImages/c.jpg": SIZE})
    reading = read(root, "VOC")
    assert reading.dataset.image_labeled.tolist() == [True, False, False]
    assert reading.dataset.image_sizes.tolist() == [[200, 100]] * 3
    assert only(reading).code == "image_unlabeled"
    assert "2 images" in only(reading).message


@pytest.mark.parametrize("own", ["Annotations", "annotations"])
@pytest.mark.parametrize("folder", ["JPEGImages", "images", "", "Annotations", "sub/images"])
def test_images_lie_where_tools_put_them(tmp_path: Path, folder: str, own: str) -> None:
    base = "sub/" if folder.startswith("sub") else ""
    folder = folder.replace("Annotations", own)
    write(tmp_path, {f"{base}{own}/a.xml": xml(named()), str(Path(folder) / "a.jpg"): SIZE})
    dataset = read(tmp_path, "VOC").dataset
    assert dataset.image_names == ["a.jpg"]
    assert dataset.image_root == (f"{folder}/" if folder else "./")


def test_roboflows_export_has_xml_beside_the_images_and_a_folder_for_each_part(tmp_path: Path) -> None:
    write(tmp_path, {
        "train/a.jpg": SIZE, "train/a.xml": xml(named()), "valid/b.jpg": SIZE, "valid/b.xml": xml(image="b.jpg"),
        "test/c.jpg": SIZE, "test/c.xml": xml(image="c.jpg"), "README.roboflow.txt": "words",
    })  # fmt: skip
    reading = read(tmp_path, "VOC")
    assert reading.problems == []
    assert reading.dataset.image_names == ["test/c.jpg", "train/a.jpg", "valid/b.jpg"]
    assert reading.dataset.image_parts is not None
    assert reading.dataset.image_parts.tolist() == [TEST, TRAIN, VAL]


def test_what_the_lists_of_imagesets_say(tmp_path: Path) -> None:
    files: dict[str, object] = {f"JPEGImages/{n}.jpg": SIZE for n in [*"abcdef", "a b"]}
    files |= {f"Annotations/{n}.xml": xml(image=f"{n}.jpg") for n in [*"abcdef", "a b"]}
    files |= {
        "ImageSets/Main/train.txt": "a\nb.jpg\nJPEGImages/c.jpg\n\n", "ImageSets/Main/val.txt": "d  1\na b\r\n",
        "ImageSets/Main/trainval.txt": "a\nb\nc\nd\ne\na b\n", "ImageSets/Main/bolt_train.txt": "a -1\nb 1\n",
        "ImageSets/Segmentation/train.txt": "x\n",
    }  # fmt: skip
    reading = read(write(tmp_path, files), "VOC")  # type: ignore[arg-type]
    assert codes(reading.problems) == ["image_unlisted", "trainval_only", "voc_passed_over"]
    assert {problem.level for problem in reading.problems} == {"warning"}
    assert reading.dataset.image_parts is not None
    parts = dict(zip(reading.dataset.image_names, reading.dataset.image_parts.tolist(), strict=True))
    assert parts == {"a.jpg": TRAIN, "b.jpg": TRAIN, "c.jpg": TRAIN, "d.jpg": VAL, "a b.jpg": VAL, "e.jpg": TRAIN,
                     "f.jpg": NO_PART}  # fmt: skip


def test_lists_that_contradict_each_other_or_name_what_is_not_there(tmp_path: Path) -> None:
    write(single(tmp_path, xml()), {"ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": "a\nzzz\n"})
    reading = read(tmp_path, "VOC")
    assert codes(reading.problems) == ["part_conflict", "part_dangling"]
    assert "line 2: 'zzz'" in next(p for p in reading.problems if p.code == "part_dangling").message


def test_polygons_as_labelme_and_roboflow_write_them(tmp_path: Path) -> None:
    labelme = "<polygon><pt><x>10</x><y>20</y></pt><pt><x>60</x><y>20</y></pt><pt><x>60</x><y>50</y></pt></polygon>"
    roboflow = "<polygon><x1>10</x1><y1>20</y1><x2>60.5</x2><y2>20</y2><x3>60</x3><y3>50</y3></polygon>"
    root = single(tmp_path, xml(named(box=labelme), named("nut", roboflow)))
    dataset = read(root, "VOC").dataset
    assert dataset.task == "instance_segmentation"
    assert dataset.outlines is not None
    assert dataset.outlines.points.tolist() == [[10, 20], [60, 20], [60, 50], [10, 20], [60.5, 20], [60, 50]]
    assert dataset.outlines.first_point.tolist() == [0, 3, 6]
    assert dataset.outlines.first_ring.tolist() == [0, 1, 2]
    assert dataset.boxes.tolist() == [[10, 20, 50, 30], [10, 20, 50, 30]]
    assert read(root, "VOC", task="object_detection").dataset.outlines is None


def test_rings_belong_to_the_objects_that_have_them(tmp_path: Path) -> None:
    ring = "<polygon><x1>1</x1><y1>2</y1><x2>3</x2><y2>2</y2><x3>3</x3><y3>5</y3></polygon>"
    dataset = read(single(tmp_path, xml(named(), named(more=ring), named())), "VOC", everything=True).dataset
    assert dataset.task == "object_detection"
    assert dataset.outlines is not None
    assert dataset.outlines.first_ring.tolist() == [0, 0, 1, 1]


def test_difficult_objects_are_kept_and_parts_are_not_with_a_word(tmp_path: Path) -> None:
    part = f"<part><name>head</name>{BOX}</part>"
    reading = read(single(tmp_path, xml(named(more=f"<difficult>1</difficult>{part}"))), "VOC")
    assert codes(reading.problems) == ["voc_difficult", "voc_parts"]
    assert reading.dataset.boxes.tolist() == [[10, 20, 50, 30]]


@pytest.mark.parametrize("size", [None, (0, 0), (200, 0)])
def test_a_size_that_is_not_written_is_taken_from_the_image(tmp_path: Path, size: tuple[int, int] | None) -> None:
    reading = read(single(tmp_path, xml(named(), size=size)), "VOC")
    assert only(reading).code == "size_missing"
    assert only(reading).level == "warning"
    assert reading.dataset.image_sizes.tolist() == [[200, 100]]
    assert reading.files is not None


def test_a_filename_that_differs_is_told_and_the_file_of_the_same_name_wins(tmp_path: Path) -> None:
    write(tmp_path, {"Annotations/a.xml": xml(image="old.jpg"), "JPEGImages/a.jpg": SIZE,
                     "Annotations/b.xml": xml(image="c.jpg"), "JPEGImages/c.jpg": SIZE,
                     "Annotations/d.xml": xml(image="d"), "JPEGImages/d.jpg": SIZE})  # fmt: skip
    reading = read(tmp_path, "VOC")
    assert only(reading).code == "filename_differs"
    assert "'old.jpg'" in only(reading).message
    assert reading.dataset.image_names == ["a.jpg", "c.jpg", "d.jpg"]


def test_an_image_that_is_not_there_is_left_to_be_told_as_missing(tmp_path: Path) -> None:
    write(single(tmp_path, xml()), {"Annotations/b.xml": xml(image="../../etc/b.jpg")})
    reading = read(tmp_path, "VOC")
    assert reading.problems == []
    assert reading.dataset.image_names == ["a.jpg", "b.jpg"]


def test_a_broken_file_is_told_once_and_its_image_is_not_called_unlabeled(tmp_path: Path) -> None:
    single(tmp_path, xml(named()))
    lists = {"ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": "b\n"}
    reading = read(write(tmp_path, {"Annotations/b.xml": "<a", "JPEGImages/b.jpg": SIZE, **lists}), "VOC")
    assert only(reading).code == "document_broken"
    assert reading.dataset.image_names == ["a.jpg"]


def test_two_files_for_one_image_and_two_images_for_one_file(tmp_path: Path) -> None:
    write(tmp_path, {"Annotations/a.xml": xml(), "Annotations/b.xml": xml(), "JPEGImages/a.jpg": SIZE,
                     "Annotations/c.xml": xml(image="c.bmp"), "JPEGImages/c.jpg": SIZE,
                     "JPEGImages/c.png": SIZE})  # fmt: skip
    reading = read(tmp_path, "VOC")
    assert codes(reading.problems) == ["file_name_duplicate", "image_ambiguous", "image_unlabeled"]


def test_names_in_another_unicode_form(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "가방")
    objects = [named("가방"), named(apart), named(" 가방 ")]
    write(tmp_path, {"Annotations/가방.xml": xml(*objects, image="가방.jpg"), f"JPEGImages/{apart}.jpg": SIZE})
    dataset = read(tmp_path, "VOC").dataset
    assert [c.name for c in dataset.classes] == ["가방"]
    assert dataset.image_names == [f"{apart}.jpg"]


def test_classes_that_differ_in_case_alone_are_told(tmp_path: Path) -> None:
    problem = only(read(single(tmp_path, xml(named("RBC"), named("rbc"))), "VOC"))
    assert problem.code == "class_names"
    assert "'RBC' and 'rbc'" in problem.message


OBJECTS: list[tuple[str, str, str]] = [
    (named(""), "category_name", "object 2"),
    (BOX, "category_name", "no <name>"),
    (named(box="<bndbox><xmin>1</xmin></bndbox>"), "box_malformed", "<ymin>"),
    (named(box=BOX.replace("20", "twenty")), "box_malformed", "<ymin> is 'twenty'"),
    (named(box=BOX.replace("20", "")), "box_malformed", "<ymin> is ''"),
    (named(more="<polygon><x1>1</x1><y1>q</y1></polygon>"), "polygon_malformed", "'q'"),
    (named(more="<polygon><x1>1</x1></polygon>"), "polygon_malformed", "None"),
]


@pytest.mark.parametrize(("inside", "code", "words"), OBJECTS)
def test_a_bad_object_is_told_and_the_others_are_read(tmp_path: Path, inside: str, code: str, words: str) -> None:
    reading = read(single(tmp_path, xml(named(), inside, named())), "VOC")
    problem = only(reading)
    assert (problem.code, problem.file, problem.image_id) == (code, "Annotations/a.xml", 1)
    assert words in problem.message
    assert len(reading.dataset.boxes) == 2


def test_oriented_boxes_are_refused_by_name(tmp_path: Path) -> None:
    single(tmp_path, xml(named(box="<robndbox><cx>1</cx></robndbox>")))
    assert "[obb_unsupported] Annotations/a.xml" in refused(tmp_path, "VOC")


@pytest.mark.parametrize("task", ["image_classification", "pose_estimation", "semantic_segmentation"])
def test_tasks_that_boxes_do_not_serve(tmp_path: Path, task: str) -> None:
    assert "[task_unfit]" in refused(single(tmp_path, xml(named())), "VOC", task=task)


@pytest.mark.skipif(not BCCD.is_dir(), reason="the BCCD images are not on this machine")
def test_bccd_is_read_whole() -> None:
    reading = read(BCCD, "VOC")
    dataset = reading.dataset
    assert reading.problems == []
    assert [c.name for c in dataset.classes] == ["Platelets", "RBC", "WBC"]
    assert (len(dataset.image_names), len(dataset.boxes)) == (364, 4888)
    assert dataset.image_parts is not None
    assert [(dataset.image_parts == part).sum() for part in (TRAIN, VAL, TEST)] == [205, 87, 72]
    # Two boxes without area, as in the files; the check tells them.
    empty = [row for row, box in enumerate(dataset.boxes.tolist()) if box[2] == 0 and box[3] == 0]
    assert [dataset.image_names[dataset.annotation_image[row]] for row in empty] == [
        "BloodImage_00338.jpg", "BloodImage_00343.jpg",
    ]  # fmt: skip
