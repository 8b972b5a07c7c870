"""YOLO and Roboflow folders (D5) with broken descriptions, lines, files and parts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from tests.steps.convert.corpus.case import Case, both, raw, text
from tests.steps.convert.corpus.sample import sample

SEGMENT, POSE = "instance_segmentation", "pose_estimation"
LABEL = "labels/train/t000.txt"


def _case(name: str, breaks: Any, code: str | None, *says: str, **more: Any) -> Case:
    return Case(**({"name": name, "breaks": breaks, "code": code, "says": says, "layout": "YOLO"} | more))


def _line(content: str, *, name: str = LABEL) -> Any:
    return raw(content.encode(), name)


PLACE = "t000.txt"


def _askew(root: Path) -> None:
    for picture in sample().pictures:
        width, height = picture.size
        corners = ((22, 24), (26, 16), (10, 8), (6, 16))  # a rectangle that stands askew
        numbers = " ".join(f"{x / width:.6f} {y / height:.6f}" for x, y in corners)
        (root / "labels" / picture.part / f"{Path(picture.name).stem}.txt").write_text(f"0 {numbers}\n")


LINES = [
    _case("class beyond the names", _line("7 0.5 0.5 0.2 0.2\n"), "category_unknown", PLACE),
    _case("class negative", _line("-1 0.5 0.5 0.2 0.2\n"), "category_unknown", PLACE),
    _case("class a fraction", _line("0.5 0.5 0.5 0.2 0.2\n"), "category_unknown", PLACE),
    _case("class a name", _line("bolt 0.5 0.5 0.2 0.2\n"), "label_malformed", PLACE),
    _case("box outside", _line("0 0.95 0.5 0.2 0.2\n"), "box_outside", PLACE),
    _case("box in pixels", _line("0 20 10 5 5\n"), "label_not_normalised", PLACE, "line 1"),
    _case("box without area", _line("0 0.5 0.5 0 0.2\n"), "box_empty", PLACE),
    _case("box negative", _line("0 0.5 0.5 -0.2 0.2\n"), "label_not_normalised", PLACE),
    _case("box of NaN", _line("0 nan 0.5 0.2 0.2\n"), "box_not_finite", PLACE,
          along=frozenset({"label_malformed"})),
    _case("three numbers", _line("0 0.5 0.5\n"), "label_malformed", PLACE, "line 1"),
    _case("words", _line("0 a b c d\n"), "label_malformed", PLACE),
    _case("second line broken", _line("0 0.5 0.5 0.2 0.2\n0 0.5\n"), "label_malformed", PLACE, "line 2"),
    _case("a prediction's confidence", _line("0 0.5 0.5 0.2 0.2 0.9\n"), "label_malformed", PLACE),
    _case("bytes that are no text", raw(b"\xff\xfe\x00\x01", LABEL), "label_malformed", PLACE,
          along=frozenset({"document_broken"})),
    _case("oriented boxes", _askew, "obb_unsupported", "OBB"),
    _case("empty lines and Windows line ends are read", raw(b"0 0.5 0.5 0.2 0.2\r\n\r\n\n", LABEL), None),
    _case("label file empty is a negative", raw(b"", LABEL), None),
    _case("box where an outline is needed", _line("0 0.1 0.1 0.2 0.2\n"), "outline_missing", PLACE, task=SEGMENT),
    _case("polygon of an odd count", _line("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4\n"), "label_malformed", PLACE, task=SEGMENT),
    _case("polygon outside", _line("0 0.1 0.1 1.9 0.2 0.3 0.3\n"), "label_not_normalised", PLACE, task=SEGMENT),
    _case("keypoints too few", _line("0 0.5 0.5 0.2 0.2 0.5 0.5 2\n"), "label_malformed", PLACE, task=POSE),
]  # fmt: skip

FILES = [
    _case("label without image", _line("0 0.5 0.5 0.2 0.2\n", name="labels/train/ghost.txt"), "label_without_image",
          "ghost.txt", level="warning"),
    _case("labels gone", lambda root: shutil.rmtree(root / "labels"), "nothing_labeled",
          along=frozenset({"labels_missing"})),
    _case("image of no bytes", raw(b"", "images/train/t000.png"), "image_unreadable", "t000.png"),
    _case("images gone", lambda root: shutil.rmtree(root / "images"), "dataset_empty",
          along=frozenset({"label_without_image", "part_missing"})),
    _case("val gone", both(lambda root: shutil.rmtree(root / "images/val"), lambda root: shutil.rmtree(
          root / "labels/val")), "part_missing", "val"),
    _case("train and val in one folder", text("data.yaml", ("val: images/val", "val: images/train")),
          "part_conflict", along=frozenset({"split_no_val"})),
    _case("two images share a label", lambda root: shutil.copy(root / "images/train/t000.png",
          root / "images/train/t000.bmp"), "label_shared", "t000", along=frozenset({"name_collision"})),
    _case("links in a circle", lambda root: os.symlink("..", root / "images/train/up"), "link_loop",
          along=frozenset({"path_unsafe"})),
    _case("labels a link out", both(lambda root: os.rename(root / "labels", root.parent / "elsewhere"),
          lambda root: os.symlink(root.parent / "elsewhere", root / "labels")), "path_unsafe",
          along=frozenset({"nothing_labeled"})),
]  # fmt: skip

NAMES = [
    _case("data.yaml without names", text("data.yaml", ("names:", "labels:")), "classes_malformed", "names"),
    _case("data.yaml empty", raw(b"", "data.yaml"), "document_broken", "data.yaml"),
    _case("data.yaml with a tab", text("data.yaml", ("  0:", "\t0:")), "document_broken", "data.yaml", "line"),
    _case("data.yaml of a Python object", text("data.yaml", ("path: .", "path: !!python/object/apply:os.system [x]")),
          "document_broken", "data.yaml", along=frozenset({"classes_malformed"})),
    _case("data.yaml of anchors that explode", raw(b"".join(b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)]
          * 9) if n else b"x") for n in range(12)) + b"names: *a11\n", "data.yaml"), "document_broken", "data.yaml",
          along=frozenset({"classes_malformed"})),
    _case("data.yaml not UTF-8", text("data.yaml", ("bolt", "b\udcb8lt")), "document_broken", "data.yaml"),
    _case("data.yaml a list", raw(b"- a\n- b\n", "data.yaml"), "document_broken", "data.yaml"),
    _case("data.yaml of 100,000 brackets", raw(b"names: " + b"[" * 100_000, "data.yaml"), "document_broken"),
    _case("nc that lies", text("data.yaml", ("names:", "nc: 5\nnames:")), "classes_count", "5"),
    _case("names with a gap", text("data.yaml", ("  1: nut", "  7: nut")), "classes_malformed"),
    _case("name used twice", text("data.yaml", ("  1: nut", "  1: bolt")), "category_duplicate", "bolt"),
    _case("name that YAML takes for false is kept", text("data.yaml", ("  1: nut", "  1: no")), None),
    _case("a part that climbs", text("data.yaml", ("train: images/train", "train: ../../images/train")), None),
    _case("a part that is absolute", text("data.yaml", ("train: images/train", "train: /etc")), "part_missing",
          along=frozenset({"split_no_train"})),
    _case("a part that is an address", text("data.yaml", ("train: images/train", "train: https://a.example/b.zip")),
          "part_missing", along=frozenset({"split_no_train"})),
    _case("keypoint shape of words", text("data.yaml", ("[3, 3]", "[a, b]")), "keypoint_shape", task=POSE),
    _case("keypoint shape of a billion", text("data.yaml", ("[3, 3]", "[1000000000, 3]")), "keypoint_shape",
          task=POSE),
    _case("flip_idx that repeats", text("data.yaml", ("[0, 2, 1]", "[0, 2, 2]")), "keypoint_flip", task=POSE),
    _case("no keypoint shape", text("data.yaml", ("kpt_shape: [3, 3]\n", "")), "task_unfit", "kpt_shape", task=POSE),
]  # fmt: skip


def _roboflow(root: Path) -> None:
    os.rename(root / "valid", root / "val")


D5 = [
    _case("D5 without valid", lambda root: shutil.rmtree(root / "valid"), "part_missing", layout="D5"),
    _case("D5 with val for valid", _roboflow, "part_missing", layout="D5"),
    _case("D5 without labels", lambda root: [shutil.rmtree(root / part / "labels") for part in ("train", "valid")],
          "nothing_labeled", layout="D5", along=frozenset({"labels_missing"})),
    _case("D5 broken line", raw(b"0 0.5\n", "train/labels/t000.txt"), "label_malformed", "t000.txt", layout="D5"),
]  # fmt: skip

CASES = [*LINES, *FILES, *NAMES, *D5]
