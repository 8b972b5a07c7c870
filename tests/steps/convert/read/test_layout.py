"""A folder's layout is recognised by what lies in it, and said with the evidence."""

from pathlib import Path

import pytest

from steps.convert.read.layout import detect_document, detect_folder

FOLDERS: list[tuple[str, str, list[str]]] = [
    ("D5", "data.yaml with train/ and valid/", ["data.yaml", "train/images/a.jpg", "valid/images/b.jpg"]),
    ("D5", "data.yaml with train/", ["data.yaml", "train/images/a.jpg", "train/labels/a.txt"]),
    ("YOLO", "data.yaml", ["data.yaml", "images/train/a.jpg", "labels/train/a.txt"]),
    ("YOLO", "coco8.yaml", ["coco8.yaml", "images/train/a.jpg"]),
    ("YOLO", "obj.names", ["obj.names", "data/a.jpg", "data/a.txt"]),
    ("YOLO", "labels/ without data.yaml", ["images/a.jpg", "labels/a.txt"]),
    ("YOLO", "labels/ without data.yaml", ["train/images/a.jpg", "train/labels/a.txt"]),
    ("VOC", "Annotations/*.xml", ["Annotations/a.xml", "JPEGImages/a.jpg"]),
    ("VOC", "VOCdevkit/VOC2007/Annotations/*.xml", ["VOCdevkit/VOC2007/Annotations/a.xml"]),
    ("VOC", "*.xml beside the images", ["train/a.xml", "train/a.jpg"]),
    ("VOC", "annotations/*.xml", ["annotations/a.xml", "images/a.jpg"]),
    ("ImageFolder", "train/ with one folder per class", ["train/cat/a.jpg", "val/cat/b.jpg"]),
    ("ImageFolder", "one folder per class", ["cat/a.jpg", "dog/b.jpg"]),
    ("D0", "label_map.json", ["label_map.json", "labels/a.json"]),
    ("unknown", "found: images", ["images/a.jpg"]),
    ("unknown", "found: notes.md", ["notes.md"]),
    ("unknown", "found: compose.yaml", ["compose.yaml"]),
    ("unknown", "found: nothing", []),
]


@pytest.mark.parametrize(("layout", "evidence", "names"), FOLDERS)
def test_a_folder_is_recognised(tmp_path: Path, layout: str, evidence: str, names: list[str]) -> None:
    text = {".yaml": "names: [a]\n", ".xml": "<annotation/>"}
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("services: {}" if name == "compose.yaml" else text.get(path.suffix, ""))
    found = detect_folder(tmp_path)
    assert (found.id, evidence in found.evidence) == (layout, True), found


D3 = {"format_version": "1.0", "classes": [], "images": []}
DOCUMENTS = [
    ("D1", "annotations_detection.json", {"categories": [], "images": [], "annotations": []}, ()),
    ("D1", "annotations.json", {"categories": [{"name": "__background__"}], "images": [], "annotations": []}, ()),
    ("D1", "annotations.json", {"categories": [], "images": [], "annotations": [], "split_config": {}}, ()),
    ("COCO", "annotations.json", {"categories": [{"name": ["a"]}, 7], "images": [], "annotations": []}, ()),
    ("D2", "annotations.json", {"classes": [], "images": []}, ()),
    ("D2", "annotations.json", {"categories": [], "images": [{"annotations": []}]}, ()),
    ("D3", "annotations.json", D3, ()),
    ("D4", "annotations_pose.json", D3, ()),
    ("D4", "annotations.json", D3, ("metadata.json",)),
    ("unknown", "annotations.json", {"pictures": []}, ()),
]


@pytest.mark.parametrize(("layout", "name", "value", "beside"), DOCUMENTS)
def test_a_document_is_recognised(layout: str, name: str, value: dict[str, object], beside: tuple[str, ...]) -> None:
    assert detect_document(name, value, beside=frozenset(beside)).id == layout
