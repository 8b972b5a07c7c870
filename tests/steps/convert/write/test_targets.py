"""What each target looks like for those who read it, and what it says where it cannot hold something."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from steps.convert.check.inspection import Inspection, inspect
from steps.convert.dataset import Category
from steps.convert.problems import DatasetRefused
from steps.convert.read.reading import read
from steps.convert.write.dice import write_dice
from steps.convert.write.flip import flip_of, flip_of_classes
from steps.convert.write.imagefolder import class_folders
from steps.convert.write.png import palette, read_png, write_png
from steps.convert.write.target import check_target, write_target
from tests.steps.convert.making import SIZE, document, picture, write


def made(root: Path, folder: Path, target: str, *, task: str, split: Any = None, **options: Any) -> dict[str, Any]:
    found = inspect(root, task=task, split=split, target=target)
    assert found.sound, [problem.line() for problem in found.problems]
    return written(found, folder, target, **options)


def written(found: Inspection, folder: Path, target: str, **options: Any) -> dict[str, Any]:
    assert found.dataset is not None
    assert found.split is not None
    return write_target(found.dataset, found.split, found.files, target=target, folder=folder, final=folder, **options)


def posed(root: Path, names: list[list[str]]) -> Path:
    value = document(10, classes=len(names))
    trained = [category for category in value["categories"] if category["id"]]
    for category, own in zip(trained, names, strict=True):
        category["keypoints"] = own
    width = {category["id"]: len(category["keypoints"]) for category in trained}
    for annotation in value["annotations"]:
        annotation["keypoints"] = [5, 6, 2] * width[annotation["category_id"]]
    return write(root, value, name="annotations_pose.json")


@pytest.mark.parametrize(
    ("names", "order"),
    [
        (["nose", "left_eye", "right_eye"], (0, 2, 1)),
        (["L-hip", "top", "R-hip"], (2, 1, 0)),
        (["leftWheel1", "rightWheel1", "leftWheel2", "rightWheel2"], (1, 0, 3, 2)),
        (["eye left", "eye right"], (1, 0)),
        (["Right Ear", "Left Ear", "bright", "clef"], (1, 0, 2, 3)),
    ],
)
def test_sides_are_paired_by_name(names: list[str], order: tuple[int, ...]) -> None:
    assert flip_of(names).order == order


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "no names"),
        (["nose", "left_eye"], "'left_eye' has no counterpart"),
        (["a", "b"], "called left or right"),
        (["left_left", "right_left"], "no counterpart"),
        (["left_a", "LEFT_A"], "same name"),
    ],
)
def test_sides_that_cannot_be_told_are_not_guessed(names: list[str], reason: str) -> None:
    flip = flip_of(names)
    assert flip.order is None
    assert reason in flip.reason


def test_classes_must_agree_on_their_sides() -> None:
    eyes, ears = ("nose", "left_eye", "right_eye"), ("left_ear", "right_ear", "nose")
    person, dog = Category(1, "person", 0, keypoints=eyes), Category(2, "dog", 1, keypoints=ears)
    assert flip_of_classes([person, Category(3, "x", 1)], 4).order == (0, 2, 1, 3)
    assert "'person' and 'dog'" in flip_of_classes([person, dog], 3).reason


def test_pose_says_its_shape_and_sides(tmp_path: Path) -> None:
    root = posed(tmp_path / "ds", [["nose", "left_eye", "right_eye"], ["nose"]])
    result = made(root, tmp_path / "out", "yolo", task="pose_estimation")
    data = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert (data["kpt_shape"], data["flip_idx"]) == ([3, 3], [0, 2, 1])
    assert data["kpt_names"] == {0: ["nose", "left_eye", "right_eye"], 1: ["nose"]}
    lines = [path.read_text().splitlines() for path in sorted((tmp_path / "out/labels").rglob("*.txt"))]
    assert {len(line.split()) for rows in lines for line in rows} == {5 + 9}
    assert any(line.endswith(" 2 0.000000 0.000000 0 0.000000 0.000000 0") for rows in lines for line in rows)
    assert result["proof"]["lossless"]


def test_pose_without_sides_is_told_and_never_mirrored(tmp_path: Path) -> None:
    root = posed(tmp_path / "ds", [["nose", "left_eye"], ["nose"]])
    found = inspect(root, task="pose_estimation", target="yolo")
    assert "flip_unknown" in {problem.code for problem in found.problems if problem.level == "warning"}
    written(found, tmp_path / "out", "yolo")
    assert "flip_idx" not in yaml.safe_load((tmp_path / "out/data.yaml").read_text())


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["ant", "bee", "cat 2"], ["ant", "bee", "cat 2"]),
        (["bee", "ant"], ["0_bee", "1_ant"]),
        (["a", "A"], ["0_a", "1_A"]),
        (["../up", "양품", "con", "x."], ["0_up", "1_양품", "2_con", "3_x"]),
        ([".hidden"], ["0_hidden"]),
        (["불량", "양품"], ["불량", "양품"]),
        (["\u1100\u1161"], ["0_\uac00"]),
        (["x" * 300], ["0_" + "x" * 50]),
    ],
)
def test_folders_sort_as_the_classes_do_and_are_safe(names: list[str], folders: list[str]) -> None:
    assert class_folders(names) == folders
    many = class_folders([f"{n}/x" for n in range(120)])
    assert sorted(many) == many
    assert many[7] == "007_7_x"


def classified(root: Path) -> Path:
    value = document(10)
    for annotation in value["annotations"]:
        del annotation["bbox"], annotation["area"]
    return write(root, value, name="annotations_classification.json")


def test_class_folders_stand_in_every_part_even_empty(tmp_path: Path) -> None:
    value = json.loads((classified(tmp_path / "ds") / "annotations_classification.json").read_text())
    value["annotations"][0]["category_id"] = 4
    value["categories"].append({"id": 99, "name": "never"})
    value["annotations"].append({**value["annotations"][0], "id": 50})
    root = write(tmp_path / "ds", value, name="annotations_classification.json")
    result = made(root, tmp_path / "out", "imagefolder", task="image_classification")
    for part in ("train", "val"):
        assert sorted(os.listdir(tmp_path / "out" / part)) == ["class0", "class1", "never"]
    left = result["proof"]["left_out"]
    assert (left["no_class"]["ids"], left["same_class_again"]["ids"]) == ([10], [50])
    folders = [row["folder"] for row in json.loads((tmp_path / "out/classes.json").read_text())]
    assert folders == ["class0", "class1", "never"]


def test_an_image_of_two_classes_has_no_folder(tmp_path: Path) -> None:
    value = json.loads((classified(tmp_path / "ds") / "annotations_classification.json").read_text())
    value["annotations"].append({"id": 50, "image_id": 3, "category_id": 1})
    root = write(tmp_path / "ds", value, name="annotations_classification.json")
    found = inspect(root, task="image_classification", target="imagefolder")
    assert not found.sound
    with pytest.raises(DatasetRefused, match=r"line/003.png has two classes"):
        written(found, tmp_path / "out", "imagefolder")


@pytest.mark.parametrize("target", ["yolo", "coco", "dice"])
def test_labels_only_touches_no_image(tmp_path: Path, target: str) -> None:
    root = write(tmp_path / "ds", document(10))
    whole = made(root, tmp_path / "whole", target, task="object_detection")
    bare = made(root, tmp_path / "bare", target, task="object_detection", labels_only=True)
    assert not (tmp_path / "bare/images").exists()
    assert bare["proof"] == whole["proof"]
    for path in (p for p in (tmp_path / "bare").rglob("*") if p.is_file() and p.name != "data.yaml"):
        assert path.read_bytes() == (tmp_path / "whole" / path.relative_to(tmp_path / "bare")).read_bytes()


def test_labels_only_of_class_folders_is_a_list(tmp_path: Path) -> None:
    made(classified(tmp_path / "ds"), tmp_path / "out", "yolo", task="image_classification", labels_only=True)
    lines = [line for part in ("train", "val") for line in (tmp_path / f"out/{part}.txt").read_text().splitlines()]
    assert "class1/line__001.png\t1" in lines
    assert len(lines) == 9


def test_coco_can_be_evaluated_as_it_stands(tmp_path: Path) -> None:
    value = document(6)
    value["annotations"][0].update(id=0)
    del value["annotations"][0]["area"], value["annotations"][1]["bbox"]
    value["annotations"][1]["segmentation"] = [[5, 5, 15, 5, 15, 25, 5, 25]]
    value["annotations"][2]["segmentation"] = {"size": [48, 64], "counts": [48 * 2 + 3, 4, 48 * 62 - 7]}
    value["annotations"][2]["iscrowd"] = 1
    for annotation in value["annotations"][3:] + value["annotations"][:1]:
        annotation["segmentation"] = [[4.5, 5, 24.5, 5, 24.5, 15]]
    root = write(tmp_path / "ds", value, name="annotations_segmentation.json")
    found = inspect(root, task="instance_segmentation", everything=True)
    result = written(found, tmp_path / "out", "coco")
    documents = [json.loads((tmp_path / f"out/annotations/{part}.json").read_text()) for part in ("train", "val")]
    assert [[c["id"] for c in value["categories"]] for value in documents] == [[0, 1]] * 2
    rows = {row["id"]: row for value in documents for row in value["annotations"]}
    assert set(rows) == {1, 2, 3, 4, 5, 6} - {2} | {3} or 0 not in rows
    by_image = {row["image_id"]: row for row in rows.values()}
    assert by_image[1]["area"] == 100
    assert by_image[2]["bbox"] == [5, 5, 10, 20]
    assert by_image[3]["iscrowd"] == 1
    assert by_image[3]["segmentation"]["size"] == [48, 64]
    assert all(isinstance(row["area"], float) and len(row["bbox"]) == 4 for row in rows.values())
    assert set(result["proof"]["changed"]) == {"ids_raised", "measured"}
    names = {image["file_name"] for value in documents for image in value["images"]}
    assert names == set(os.listdir(tmp_path / "out/images"))
    assert json.loads((tmp_path / "out/classes.json").read_text())[1] == {
        "index": 1, "id": 4, "name": "class1", "category_id": 1,
    }  # fmt: skip


def test_dice_keeps_unlabeled_images_attributes_and_the_split_it_has(tmp_path: Path) -> None:
    value = document(10)
    value["images"][1]["metadata"] = {"status": "unlabeled", "line": "A"}
    value["images"][2]["date_captured"] = "2026-01-01"
    value["annotations"] = [a for a in value["annotations"] if a["image_id"] != 2]
    value["split_config"] = {"method": "manual", "splits": {"1": "train", "3": "val", "4": "test"}}
    root = write(tmp_path / "ds", value)
    found = inspect(root, task="object_detection")
    assert found.dataset is not None
    write_dice(found.dataset, None, found.files, folder=tmp_path / "out", final=tmp_path / "out")
    back = json.loads((tmp_path / "out/annotations_detection.json").read_text())
    assert back["split_config"] == value["split_config"]
    assert back["images"][1]["metadata"]["status"] == "unlabeled"
    assert read(tmp_path / "out").dataset.image_labeled.tolist() == found.dataset.image_labeled.tolist()
    assert (tmp_path / "out/images/line/003.png").samefile(root / "images/line/003.png")


def test_own_mask_files_become_class_indexes(tmp_path: Path) -> None:
    rows = []
    for n in range(1, 5):
        picture(tmp_path / f"ds/images/{n}.png", seed=n)
        mask = np.full(SIZE[::-1], 255, dtype=np.uint8)
        mask[:10], mask[10:20] = 7, 3
        path = tmp_path / f"ds/masks/{n}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(mask).save(path)
        own = {"mask_file": f"masks/{n}.png", "mask_format": "indexed_png", "num_classes": 2}
        rows.append({"id": n, "file_name": f"{n}.png", "width": SIZE[0], "height": SIZE[1], "annotation": own,
                     "split": "train" if n < 3 else "val", "metadata": {"status": "labeled"}})  # fmt: skip
    value = {"format_version": "1.0", "task_type": "semantic_segmentation", "images": rows,
             "classes": [{"id": 7, "name": "road"}, {"id": 3, "name": "sky"}]}  # fmt: skip
    (tmp_path / "ds/annotations.json").write_text(json.dumps(value))
    made(tmp_path / "ds", tmp_path / "out", "masks", task="semantic_segmentation")
    found = np.asarray(Image.open(tmp_path / "out/masks/train/1.png").copy())
    assert [found[0, 0], found[15, 0], found[30, 0]] == [1, 0, 255]
    assert [row["name"] for row in json.loads((tmp_path / "out/classes.json").read_text())] == ["sky", "road"]


def test_outlines_leave_a_background_behind_the_classes(tmp_path: Path) -> None:
    value = document(4)
    outlines = [[[0, 0, 40, 0, 40, 40, 0, 40]], [[10, 10, 20, 10, 20, 20, 10, 20]], [[10, 10, 11, 10, 10, 11]]]
    value["annotations"] = [
        {"id": n, "image_id": 1, "category_id": 1 if n == 1 else 4, "segmentation": shape, "bbox": [0, 0, 40, 40]}
        for n, shape in enumerate([*outlines, outlines[1]], 1)
    ]
    root = write(tmp_path / "ds", value, name="annotations_segmentation.json")
    split = {"method": "manual", "splits": {"1": "train", "2": "train", "3": "val", "4": "val"}}
    result = made(root, tmp_path / "out", "masks", task="instance_segmentation", split=split)
    with Image.open(tmp_path / "out/masks/train/line__001.png") as image:
        found = np.asarray(image)
        assert image.getpalette()[6:9] == [0, 0, 0]
    assert [found[5, 5], found[15, 15], found[45, 5]] == [0, 1, 2]
    classes = json.loads((tmp_path / "out/classes.json").read_text())
    assert classes[2] == {"index": 2, "id": None, "name": "__background__"}
    left = result["proof"]["left_out"]
    assert (left["no_pixel"]["ids"], left["covered"]["ids"]) == ([3], [2])


def test_masks_are_png_that_others_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (33, 71)).astype(np.uint8)
    content = write_png(pixels, palette(3, background=3))
    (tmp_path / "a.png").write_bytes(content)
    with Image.open(tmp_path / "a.png") as image:
        assert (image.mode, image.size) == ("P", (71, 33))
        assert (np.asarray(image) == pixels).all()
        assert image.getpalette()[9:12] == [0, 0, 0]
        assert image.getpalette()[:3] == [128, 0, 0]
    assert (read_png(content) == pixels).all()
    torn = bytearray(content)
    torn[len(torn) // 2] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        read_png(bytes(torn))


def test_what_a_target_cannot_hold_is_told_by_name(tmp_path: Path) -> None:
    root = write(tmp_path / "ds", document(10))
    found = inspect(root, task="object_detection")
    assert found.dataset is not None
    for target, code in (("masks", "target_unsupported"), ("imagefolder", "target_unsupported")):
        problems = check_target(found.dataset, found.files, target=target)
        assert code in {problem.code for problem in problems if problem.level == "error"}
    for target in ("yolo", "coco", "dice", "none"):
        assert check_target(found.dataset, found.files, target=target) == []
