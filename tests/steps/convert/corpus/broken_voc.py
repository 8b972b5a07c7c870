"""Pascal VOC and ImageFolder with broken XML, boxes, lists, files and folders."""

from __future__ import annotations

import os
import shutil
from typing import Any

from tests.steps.convert.corpus.case import Case, both, raw, text

XML = "Annotations/t000.xml"
BOX = "<xmin>2</xmin><ymin>4</ymin><xmax>23</xmax><ymax>12</ymax>"


def _case(name: str, breaks: Any, code: str | None, *says: str, **more: Any) -> Case:
    return Case(name=name, breaks=breaks, code=code, says=says, layout="VOC", **more)


def _box(x: Any, y: Any, a: Any, b: Any) -> Any:
    return text(XML, (BOX, f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{a}</xmax><ymax>{b}</ymax>"))


LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
)

VOC = [
    _case("box outside", _box(2, 4, 90, 12), "box_outside", "t000"),
    _case("box turned around", _box(23, 4, 2, 12), "box_empty", "t000"),
    _case("box without area", _box(5, 4, 5, 12), "box_empty", "t000"),
    _case("box of words", _box("a", 4, 23, 12), "box_malformed", "t000"),
    _case("box of NaN", _box("nan", 4, 23, 12), "box_not_finite", "t000", along=frozenset({"box_malformed"})),
    _case("box of fractions is read", _box(2.5, 4.25, 23, 12), None),
    _case("no box", text(XML, (f"<bndbox>{BOX}</bndbox>", "")), "box_missing", "t000"),
    _case("no name", text(XML, ("<name>bolt</name>", "")), "category_name", "t000",
          along=frozenset({"category_unknown"})),
    _case("name blank", text(XML, ("<name>bolt</name>", "<name> </name>")), "category_name", "t000",
          along=frozenset({"category_unknown"})),
    _case("size that lies", text(XML, ("<width>64</width>", "<width>65</width>")), "size_mismatch", "t000"),
    _case("size of nothing is taken from the image", text(XML, ("<width>64</width><height>32</height>",
          "<width>0</width><height>0</height>")), None),
    _case("XML cut", text(XML, ("</annotation>", "")), "document_broken", "t000.xml", "line"),
    _case("XML empty", raw(b"", XML), "document_broken", "t000.xml"),
    _case("XML of another root", raw(b"<html></html>", XML), "document_broken", "t000.xml"),
    _case("XML that reads a file", text(XML, ("<annotation>", "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
          "<annotation>"), ("<name>bolt", "<name>&x;")), "document_broken", "t000.xml"),
    _case("XML of a billion laughs", text(XML, ("<annotation>", f"{LAUGHS}]><annotation>"), ("<name>bolt",
          "<name>&m;")), "document_broken", "t000.xml"),
    _case("XML 20,000 levels deep", raw(b"<annotation>" + b"<a>" * 20_000, XML), "document_broken", "t000.xml"),
    _case("XML in CP949 that says so is read", both(text(XML, ("<annotation>",
          '<?xml version="1.0" encoding="cp949"?><annotation>'))), None),
    _case("file name of another image", text(XML, ("<filename>t000", "<filename>t001")), "filename_differs", "t001",
          level="warning"),
    _case("file name that climbs", text(XML, ("<filename>t000.png", "<filename>../../x.png")), None),
    _case("image missing", lambda root: (root / "JPEGImages/t000.png").unlink(), "image_missing", "t000"),
    _case("image without XML", lambda root: (root / XML).unlink(), "image_unlabeled", "t000", level="warning"),
    _case("list names a stranger", text("ImageSets/Main/train.txt", ("t000", "ghost")), "part_dangling", "ghost"),
    _case("an image in train and val", lambda root: (root / "ImageSets/Main/val.txt").write_text("t000\nv006\n"),
          "part_conflict", "t000"),
    _case("lists gone are split anew", lambda root: shutil.rmtree(root / "ImageSets"), None),
    _case("lists with classes are read", lambda root: (root / "ImageSets/Main/bolt_train.txt").write_text(
          "t000 1\nt001 -1\n"), None),
    _case("Annotations a link out", both(lambda root: os.rename(root / "Annotations", root.parent / "elsewhere"),
          lambda root: os.symlink(root.parent / "elsewhere", root / "Annotations")), "path_unsafe",
          along=frozenset({"no_classes", "part_dangling", "dataset_empty"})),
]  # fmt: skip


def _folder(name: str, breaks: Any, code: str | None, *says: str, **more: Any) -> Case:
    task = "image_classification"
    return Case(name=name, breaks=breaks, code=code, says=says, layout="ImageFolder", task=task, **more)


FOLDERS = [
    _folder("image of no bytes", raw(b"", "train/bolt/t000.png"), "image_unreadable", "t000.png"),
    _folder("image a text", raw(b"x" * 50, "train/bolt/t000.png"), "image_unreadable", "t000.png"),
    _folder("class without images", lambda root: (root / "train/washer").mkdir(), "class_empty", "washer",
            level="warning"),
    _folder("class only in val", lambda root: os.rename(root / "val/nut", root / "val/washer"), "class_not_in_train",
            "washer", level="warning"),
    _folder("no val", lambda root: shutil.rmtree(root / "val"), None),
    _folder("nothing at all", lambda root: [shutil.rmtree(root / part) for part in ("train", "val")],
            "document_missing", along=frozenset({"dataset_empty", "layout_unsupported"})),
    _folder("image beside the classes", lambda root: shutil.copy(root / "train/bolt/t000.png", root / "train/x.png"),
            "image_without_class", "x.png"),
    _folder("classes that differ in case alone", lambda root: shutil.copytree(root / "train/bolt",
            root / "train/Bolt"), "class_names", "Bolt", level="warning"),
    _folder("the same picture in two classes", lambda root: shutil.copy(root / "train/bolt/t000.png",
            root / "train/nut/zz.png"), "image_repeated", "zz.png", level="warning"),
    _folder("text files lie about", lambda root: (root / "train/bolt/readme.txt").write_text("x"), None),
    _folder("a link that climbs", lambda root: os.symlink("../..", root / "train/bolt/up"), "link_loop",
            along=frozenset({"path_unsafe"})),
    _folder("class names of every script", lambda root: [os.rename(root / part / "bolt", root / part / "볼트 🔩")
            for part in ("train", "val")], None, target="imagefolder"),
]  # fmt: skip

CASES = [*VOC, *FOLDERS]
