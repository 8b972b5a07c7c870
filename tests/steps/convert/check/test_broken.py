"""Every way in which a dataset can be wrong has a name, a place and a cure, and never a traceback."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from steps.convert.check.inspection import inspect
from steps.convert.problems import errors, summary, warnings
from tests.steps.convert.making import SIZE, document, picture, write

Change = Callable[[dict[str, Any], Path], None]


def at(key: str, row: int, **fields: Any) -> Change:
    """Changes fields of one item of a list before anything is written."""
    return lambda value, root: value[key][row].update(fields)


def without(key: str, row: int, field: str) -> Change:
    return lambda value, root: value[key][row].pop(field)


BEFORE: list[tuple[str, Change, str, str]] = [
    ("box right of the image", at("annotations", 0, bbox=[50, 5, 20, 10]), "box_outside", "annotation 1"),
    ("box left of the image", at("annotations", 0, bbox=[-3, 5, 20, 10]), "box_outside", "image 1"),
    ("box of negative width", at("annotations", 0, bbox=[30, 5, -4, 10]), "box_empty", "annotation 1"),
    ("box without area", at("annotations", 0, bbox=[30, 5, 0, 10]), "box_empty", "annotation 1"),
    ("box of NaN", at("annotations", 0, bbox=[math.nan, 5, 4, 10]), "box_not_finite", "annotation 1"),
    ("box of infinity", at("annotations", 0, bbox=[1, 5, math.inf, 10]), "box_not_finite", "annotation 1"),
    ("box of a huge number", at("annotations", 0, bbox=[1, 5, 10**400, 10]), "box_not_finite", "annotation 1"),
    ("box of three numbers", at("annotations", 0, bbox=[1, 5, 4]), "box_malformed", "four numbers"),
    ("box of words", at("annotations", 0, bbox=["1", "2", "3", "4"]), "box_malformed", "annotation 1"),
    ("no box", without("annotations", 0, "bbox"), "box_missing", "annotation 1"),
    ("unknown category", at("annotations", 0, category_id=99), "category_unknown", "use one of: 0, 1, 4"),
    ("category missing", without("annotations", 0, "category_id"), "category_unknown", "annotation 1"),
    ("dangling image", at("annotations", 0, image_id=77), "image_dangling", "image_id 77"),
    ("annotation id twice", at("annotations", 1, id=1), "annotation_duplicate", "annotation 1"),
    ("annotation id missing", without("annotations", 1, "id"), "annotation_id", "annotation number 2"),
    ("image id twice", at("images", 1, id=1), "image_duplicate", "image id 1"),
    ("image id no number", at("images", 1, id="x"), "image_id", "'x'"),
    ("image file twice", at("images", 1, file_name="line/001.png"), "file_name_duplicate", "image 1"),
    ("image name missing", lambda v, r: v["images"][1].update(file_name="f") or v["images"][1].update(file_name=None),
     "image_file_name", "image 2"),
    ("path climbs", at("images", 1, file_name="../../etc/passwd"), "path_unsafe", "`..`"),
    ("path absolute", at("images", 1, file_name="/etc/passwd"), "path_unsafe", "absolute"),
    ("path with a backslash", at("images", 1, file_name="a\\b.png"), "path_unsafe", "backslash"),
    ("path of a drive", at("images", 1, file_name="C:/b.png"), "path_unsafe", "absolute"),
    ("category id twice", at("categories", 2, id=1), "category_duplicate", "category id 1"),
    ("category name twice", at("categories", 2, name="class0"), "category_duplicate", "'class0'"),
    ("category name missing", at("categories", 2, name=" "), "category_name", "category 4"),
    ("category id negative", at("categories", 2, id=-4), "category_id", "number 3"),
    ("only background", lambda v, r: v.update(categories=v["categories"][:1], annotations=[]), "no_classes",
     "category"),
    ("no categories", lambda v, r: v.pop("categories"), "layout_unsupported", "unknown layout"),
    ("images no list", lambda v, r: v.update(images=[], annotations=[]), "dataset_empty", "empty"),
    ("nothing labeled", lambda v, r: v.update(annotations=[]), "nothing_labeled", "no image carries a label"),
    ("two forms that differ", at("images", 0, annotations=[]), "forms_disagree", "both forms"),
    ("zero validation images", lambda v, r: v.update(split_config={"method": "manual", "splits": {
        str(n): "train" for n in range(1, 11)}}), "split_no_val", "zero validation"),
    ("split ratio of one and a half", lambda v, r: v.update(split_config={"ratio": [0.8, 0.7]}), "split_invalid",
     "add up"),
    ("split into nowhere", lambda v, r: v.update(split_config={"splits": {"1": "dev"}}), "split_invalid", "'dev'"),
    ("split method unknown", lambda v, r: v.update(split_config={"method": "magic"}), "split_invalid", "magic"),
]  # fmt: skip

AFTER: list[tuple[str, Change, str, str]] = [
    ("image missing", lambda v, r: (r / "images/line/003.png").unlink(), "image_missing", "images/line/003.png"),
    ("image empty", lambda v, r: (r / "images/line/003.png").write_bytes(b""), "image_unreadable", "it is empty"),
    ("image no image", lambda v, r: (r / "images/line/003.png").write_text("x" * 99), "image_unreadable", "unknown"),
    ("image cut in its header", lambda v, r: (r / "images/line/003.png").write_bytes(
        (r / "images/line/003.png").read_bytes()[:20]), "image_unreadable", "line/003.png"),
    ("image of another size", lambda v, r: picture(r / "images/line/003.png", size=(30, 20)) and None,
     "size_mismatch", "30×20 px"),
    ("image a GIF", lambda v, r: Image.new("RGB", SIZE).save(r / "images/line/003.png", format="GIF"),
     "image_format", "GIF"),
    ("image a link out", lambda v, r: _link_out(r / "images/line/003.png", r), "path_unsafe", "leaves the dataset"),
    ("document no JSON", lambda v, r: (r / "annotations_detection.json").write_text('{"images": [\n  {"id": 1,}\n]}'),
     "document_broken", "line 2, column 1"),
    ("document not UTF-8", lambda v, r: (r / "annotations_detection.json").write_bytes(
        '{"a":\n"이름"}'.encode("cp949")),
     "document_broken", "line 2"),
    ("document a list", lambda v, r: (r / "annotations_detection.json").write_text("[]"), "layout_unsupported", "list"),
    ("document empty", lambda v, r: (r / "annotations_detection.json").write_text(""), "document_broken", "line 1"),
    ("document too deep", lambda v, r: (r / "annotations_detection.json").write_text("[" * 100_000),
     "document_broken", "JSON"),
    ("document gone", lambda v, r: (r / "annotations_detection.json").unlink(), "document_missing", "add annotations_"),
    ("document of another task", lambda v, r: (r / "annotations_detection.json").rename(r / "annotations_pose.json"),
     "document_missing", "annotations_pose.json"),
]  # fmt: skip


def _link_out(path: Path, root: Path) -> None:
    outside = picture(root.parent / "outside.png", seed=3)
    path.unlink()
    path.symlink_to(outside)


def _json(value: Any) -> str:
    return json.dumps(value)


@pytest.mark.parametrize(("change", "code", "words"), [row[1:] for row in BEFORE], ids=[row[0] for row in BEFORE])
def test_a_wrong_document_is_told(tmp_path: Path, change: Change, code: str, words: str) -> None:
    value = document()
    root = write(tmp_path / "ds", value)
    change(value, root)
    (root / "annotations_detection.json").write_text(_json(value))
    _expect(root, code, words)


@pytest.mark.parametrize(("change", "code", "words"), [row[1:] for row in AFTER], ids=[row[0] for row in AFTER])
def test_a_wrong_file_is_told(tmp_path: Path, change: Change, code: str, words: str) -> None:
    value = document()
    root = write(tmp_path / "ds", value)
    change(value, root)
    _expect(root, code, words)


def _expect(root: Path, code: str, words: str) -> None:
    found = inspect(root, task="object_detection", target="yolo", contained=True)
    matching = [problem for problem in errors(found.problems) if problem.code == code]
    assert matching, [problem.line() for problem in found.problems]
    assert any(words in problem.line() for problem in matching), [problem.line() for problem in matching]
    assert all(problem.cure for problem in matching)


def test_everything_is_told_at_once_and_fifty_are_shown(tmp_path: Path) -> None:
    value = document(80)
    root = write(tmp_path / "ds", value)
    for annotation in value["annotations"]:
        annotation["bbox"] = [60, 40, 30, 30]
    value["images"][79]["width"] = 1
    (root / "annotations_detection.json").write_text(_json(value))
    found = inspect(root, task="object_detection")
    assert len(errors(found.problems)) == 80
    text = summary(found.problems, report="conversion.json")
    assert text.count("[") >= 50
    assert "… and 30 more, all of them in conversion.json" in text


WARNED: list[tuple[str, Change, str]] = [
    ("class without annotations", lambda v, r: v["categories"].append({"id": 50, "name": "rare"}), "class_empty"),
    ("crowd", at("annotations", 0, iscrowd=1), "crowd"),
    ("stranger in the split", lambda v, r: v.update(split_config={"exclude_images": [99]}), "split_unknown_image"),
    ("group_by nothing", lambda v, r: v.update(split_config={"group_by": "line"}), "split_group_by"),
    ("same picture in two parts", lambda v, r: (
        (r / "images/line/002.png").write_bytes((r / "images/line/001.png").read_bytes()),
        v.update(split_config={"method": "partial", "splits": {"1": "train", "2": "val"}}))[0] and None,
     "duplicate_across_splits"),
    ("class only in val", lambda v, r: v.update(split_config={"method": "manual", "splits": {
        str(n): "val" if n % 2 else "train" for n in range(1, 11)}}), "class_not_in_train"),
    ("unlisted in a manual split", lambda v, r: v.update(split_config={"method": "manual", "splits": {
        "1": "train", "2": "val"}}), "split_unlisted"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in WARNED], ids=[row[0] for row in WARNED])
def test_a_doubtful_dataset_is_warned_of_and_used(tmp_path: Path, change: Change, code: str) -> None:
    value = document()
    root = write(tmp_path / "ds", value)
    change(value, root)
    (root / "annotations_detection.json").write_text(_json(value))
    found = inspect(root, task="object_detection", target="yolo")
    assert not errors(found.problems)
    assert code in {problem.code for problem in warnings(found.problems)}


def test_class_imbalance_is_warned_of(tmp_path: Path) -> None:
    value = document(45)
    for annotation in value["annotations"][2:]:
        annotation["category_id"] = 1
    root = write(tmp_path / "ds", value)
    assert "class_imbalance" in {problem.code for problem in inspect(root, task="object_detection").problems}


@pytest.mark.parametrize(
    ("orientation", "declared", "code", "level"),
    [
        (6, (48, 64), "image_turned", "warning"),
        (6, (64, 48), "image_turned", "error"),
        (3, (64, 48), "image_turned", "warning"),
        (1, (64, 48), None, None),
    ],
)
def test_exif_orientation_is_minded(
    tmp_path: Path, orientation: int, declared: tuple[int, int], code: str | None, level: str | None
) -> None:
    value = document(4)
    root = write(tmp_path / "ds", value)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", SIZE, "red").save(root / "images/line/001.jpg", exif=exif)
    value["images"][0].update(file_name="line/001.jpg", width=declared[0], height=declared[1])
    (root / "annotations_detection.json").write_text(_json(value))
    problems = inspect(root, task="object_detection").problems
    found = [(p.code, p.level) for p in problems if not p.code.startswith("class_")]
    assert found == ([(code, level)] if code else [])


def test_a_box_may_stick_out_by_one_pixel_and_is_clipped(tmp_path: Path) -> None:
    value = document(4)
    value["annotations"][0]["bbox"] = [-0.75, 40, 10, 8.9]
    found = inspect(write(tmp_path / "ds", value), task="object_detection")
    assert found.sound
    assert found.dataset is not None
    assert found.dataset.boxes[0].tolist() == [0, 40, 9.25, 8]


def test_the_legacy_format_is_refused_by_its_name(tmp_path: Path) -> None:
    for name in ("label_map.json", "labels/a.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = inspect(tmp_path, task="object_detection")
    assert found.layout == "D0"
    assert [p.code for p in found.problems] == ["layout_unsupported"]


def test_plain_coco_is_read(tmp_path: Path) -> None:
    value = document()
    value["categories"] = value["categories"][1:]
    root = write(tmp_path, value)
    (root / "annotations").mkdir()
    (root / "annotations_detection.json").rename(root / "annotations/instances_default.json")
    found = inspect(root, task="object_detection")
    assert (found.layout, found.sound) == ("COCO", True)
