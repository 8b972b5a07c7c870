"""What is written for YOLO says the same as the dataset, and never touches it."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from steps.convert.convert import convert
from steps.convert.write.flat_names import flat_names
from tests.steps.convert.making import SIZE, document, picture, write


def made(root: Path, work: Path, **options: Any) -> Any:
    return convert(root, work_dir=work, target="yolo", task="object_detection", **options)


def labels(work: Path) -> dict[str, list[list[float]]]:
    found = {}
    for path in sorted((work / "converted/labels").rglob("*.txt")):
        found[path.stem] = [[float(n) for n in line.split()] for line in path.read_text().splitlines()]
    return found


BOX = st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.01, 1), st.floats(0.01, 1))


@given(st.lists(BOX, min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_boxes_come_back_from_yolo_as_they_were(tmp_path_factory: pytest.TempPathFactory, boxes: list[Any]) -> None:
    tmp_path = tmp_path_factory.mktemp("yolo")
    width, height = SIZE
    wanted = [[x * width, y * height, min(w, 1 - x) * width, min(h, 1 - y) * height] for x, y, w, h in boxes]
    value = document(4)
    value["annotations"] = [
        {"id": n * 10 + k, "image_id": n, "category_id": 4, "bbox": box}
        for n in range(1, 4)
        for k, box in enumerate(wanted)
    ]
    made(write(tmp_path / "ds", value), tmp_path / "w")
    found = labels(tmp_path / "w")["line__001"]
    assert [row[0] for row in found] == [1] * len(wanted)
    for (_, cx, cy, w, h), (x, y, bw, bh) in zip(found, wanted, strict=True):
        back = (cx - w / 2, cy - h / 2, w, h)
        assert back == pytest.approx((x / width, y / height, bw / width, bh / height), abs=1e-6)


def test_the_target_is_whole_and_negatives_have_an_empty_label(tmp_path: Path) -> None:
    value = document(10)
    value["annotations"][0] = {"id": 1, "image_id": 1, "category_id": 0}
    value["categories"][1]["name"] = 'quo"te: {x} \u00e9\u2028'
    result = made(write(tmp_path / "ds", value), tmp_path / "w")
    data = yaml.safe_load((tmp_path / "w/converted/data.yaml").read_text(encoding="utf-8"))
    assert data["path"] == str(tmp_path / "w/converted")
    assert data["names"] == {0: 'quo"te: {x} \u00e9\u2028', 1: "class1"}
    assert data["nc"] == 2
    assert (data["train"], data["val"], "test" in data) == ("images/train", "images/val", False)
    found = labels(tmp_path / "w")
    assert found["line__001"] == []
    assert found["line__010"] == []
    assert sum(map(len, found.values())) == 8
    for part, ids in result.snapshot["split"].items():
        images = tmp_path / "w/converted/images" / part
        names = {f"line__{id_:03d}.png" for id_ in ids}
        assert {p.name for p in images.iterdir()} == names if ids else not images.exists()
    report = json.loads((tmp_path / "w/conversion.json").read_text())
    assert report["counts"]["negatives"] == 2
    assert report["written"]["train"]["images"] + report["written"]["val"]["images"] == 10
    assert json.loads((tmp_path / "w/snapshot.json").read_text()) == result.snapshot


def test_the_class_index_follows_the_ids_and_not_the_list(tmp_path: Path) -> None:
    value = document(10)
    value["categories"] = [{"id": 9, "name": "nine"}, {"id": 0, "name": "zero"}, {"id": 4, "name": "_background_"},
                           {"id": 1, "name": "one"}]  # fmt: skip
    for annotation in value["annotations"]:
        annotation["category_id"] = 9 if annotation["id"] % 2 else 0
    result = made(write(tmp_path / "ds", value), tmp_path / "w")
    assert [c["name"] for c in result.snapshot["classes"]] == ["zero", "one", "nine"]
    assert labels(tmp_path / "w")["line__001"][0][0] == 2
    assert labels(tmp_path / "w")["line__002"][0][0] == 0


def test_one_class_is_legal(tmp_path: Path) -> None:
    assert made(write(tmp_path / "ds", document(10, classes=1)), tmp_path / "w").snapshot["classes"] == [
        {"index": 0, "id": 1, "name": "class0"}
    ]


def test_names_are_flattened_without_collisions() -> None:
    names = [
        "a/b.png",
        "a__b.png",
        "c.jpg",
        "c.png",
        "C.PNG",
        ".x.png",
        "images/d.png",
        "e",
        "f.gif",
        "g" * 300 + ".png",
    ]
    formats = ["PNG", "PNG", "JPEG", "PNG", "PNG", "PNG", "PNG", "JPEG", "PNG", "PNG"]
    flat = flat_names(names, formats, list(range(1, 11)))
    assert flat[:9] == [
        "a__b-1.png",
        "a__b-2.png",
        "c-3.jpg",
        "c-4.png",
        "C-5.PNG",
        "_x.png",
        "d.png",
        "e.jpg",
        "f.png",
    ]
    assert len(flat[9]) < 220
    assert len({os.path.splitext(name)[0].casefold() for name in flat}) == 10


def test_images_with_the_same_stem_keep_their_own_labels(tmp_path: Path) -> None:
    value = document(6)
    value["images"][0]["file_name"], value["images"][1]["file_name"] = "a.png", "a.jpg"
    value["annotations"][0]["bbox"], value["annotations"][1]["bbox"] = [0, 0, 64, 48], [0, 0, 32, 24]
    made(write(tmp_path / "ds", value), tmp_path / "w")
    found = labels(tmp_path / "w")
    assert found["a-1"][0][1:] == [0.5, 0.5, 1, 1]
    assert found["a-2"][0][1:] == [0.25, 0.25, 0.5, 0.5]


def tree(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(p.relative_to(root)): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


def test_linked_images_never_reach_the_owners_files(tmp_path: Path) -> None:
    owner = write(tmp_path / "owner", document(10))
    Image.open(picture(tmp_path / "whole.jpg", format="JPEG")).close()
    cut = (tmp_path / "whole.jpg").read_bytes()[:-2]
    (owner / "images/line/001.jpg").write_bytes(cut)
    value = document(10)
    value["images"][0]["file_name"] = "line/001.jpg"
    (owner / "annotations_detection.json").write_text(json.dumps(value))
    before = tree(owner)
    fetched = tmp_path / "w/dataset"
    for path in (p for p in owner.rglob("*") if p.is_file()):
        link = fetched / path.relative_to(owner)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    result = made(fetched, tmp_path / "w")
    assert result.written["links"] == {"symlink": 9, "copy": 1}
    assert tree(owner) == before
    assert all(p.stat().st_nlink == 1 for p in owner.rglob("*.png"))
    images = list((tmp_path / "w/converted/images").rglob("*"))
    assert {p.readlink().parent for p in images if p.is_symlink()} == {owner / "images/line"}
    copied = next(p for p in images if p.name == "line__001.jpg")
    assert (copied.is_symlink(), copied.read_bytes()) == (False, cut)


def test_own_images_are_hard_linked(tmp_path: Path) -> None:
    result = made(write(tmp_path / "ds", document(10)), tmp_path / "w")
    assert result.written["links"] == {"hardlink": 10}


def test_a_second_try_keeps_what_is_whole_and_replaces_what_is_not(tmp_path: Path) -> None:
    root = write(tmp_path / "ds", document(10))
    made(root, tmp_path / "w")
    stands = (tmp_path / "w/converted").stat().st_ino
    made(root, tmp_path / "w")
    assert (tmp_path / "w/converted").stat().st_ino == stands
    (tmp_path / "w/converted/complete.json").unlink()
    (tmp_path / "w/converted/labels/train/stale.txt").write_text("0 0 0 0 0\n")
    made(root, tmp_path / "w")
    assert not (tmp_path / "w/converted/labels/train/stale.txt").exists()
    made(root, tmp_path / "w", split={"method": "auto", "seed": 5})
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == ["conversion.json", "converted", "snapshot.json"]


def test_equal_input_gives_equal_output(tmp_path: Path) -> None:
    root = write(tmp_path / "ds", document(10))
    first, second = made(root, tmp_path / "a"), made(root, tmp_path / "b")
    assert first.snapshot == second.snapshot
    assert labels(tmp_path / "a") == labels(tmp_path / "b")
