"""What is shown of a dataset shows every class in its place, is one file, and lets no name do anything."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from steps.convert.check.inspection import Inspection, inspect
from steps.convert.show.choose import LEAST, MOST, choose
from steps.convert.show.colours import colour, ink
from steps.convert.show.html import text
from steps.convert.show.numbers import numbers
from steps.convert.show.page import dataset_page
from steps.convert.show.picture import open_picture
from steps.convert.show.report import report_page
from steps.convert.show.samples import make_samples
from steps.convert.show.sheet import draw_sheet
from tests.steps.convert.making import SIZE, document, picture, write

NASTY = "<script>alert('1')</script>&\"x"


def looked(root: Path, value: dict[str, Any], *, task: str = "object_detection") -> Inspection:
    word = {"object_detection": "detection", "instance_segmentation": "segmentation", "pose_estimation": "pose",
            "image_classification": "classification"}[task]  # fmt: skip
    return inspect(write(root, value, name=f"annotations_{word}.json"), task=task, everything=True)


@pytest.mark.parametrize(("count", "classes"), [(3, 2), (12, 2), (60, 3), (90, 25)])
def test_the_samples_show_every_class(tmp_path: Path, count: int, classes: int) -> None:
    found = looked(tmp_path, document(count, classes=classes))
    assert found.dataset is not None
    choice = choose(found.dataset, found.files, objects=4)
    assert min(count, LEAST) <= len(choice.images) <= MOST
    assert len(set(choice.images)) == len(choice.images)
    shown = set(found.dataset.annotation_class[np.isin(found.dataset.annotation_image, choice.images)].tolist())
    assert shown == set(found.dataset.annotation_class.tolist())
    for index, rows in enumerate(choice.objects):
        assert {int(found.dataset.annotation_class[at]) for at in rows} <= {index}
    assert choose(found.dataset, found.files, objects=4) == choice


def test_the_sheet_and_the_page_name_each_class_by_its_index(tmp_path: Path) -> None:
    value = document(20, classes=3)
    value["categories"][1]["name"] = NASTY
    value["categories"][2]["name"] = "너트"
    found = looked(tmp_path, value)
    facts, made = numbers(found), make_samples(found, tmp_path)
    assert len(made.samples) == 16
    assert [len(strip) > 0 for strip in made.strips] == [True, True, True]
    sheet = draw_sheet(facts, made, title=NASTY)
    assert sheet.width == 2000
    seen = {pixel for _, pixel in sheet.getcolors(1 << 24) or ()}
    assert {colour(index) for index in range(3)} <= seen
    page = dataset_page(facts, made, found.problems, title=NASTY)
    assert "<script" not in page
    assert text(NASTY) in page
    assert "너트" in page
    assert page.count("<figure>") == 16
    assert set(re.findall(r'(?:src|href)="(.{5})', page)) == {"data:"}
    order = [page.index(f">{index}</span>") for index in range(3)]
    assert order == sorted(order)


def test_the_report_shows_each_kind_of_finding_once(tmp_path: Path) -> None:
    value = document(40)
    for annotation in value["annotations"][:30]:
        annotation["bbox"] = [60, 40, 20, 20]
    value["images"][35]["file_name"] = f"{NASTY.replace('/', '_')}.png"
    root = write(tmp_path, value)
    (root / "images" / value["images"][35]["file_name"]).unlink()
    found = inspect(root, task="object_detection", everything=True)
    page = report_page(found, title="parts")
    assert page.count('<section class="group">') == len({(p.level, p.code) for p in found.problems})
    assert "30×" in page
    assert "<script" not in page
    assert "31 errors" in page
    assert page.count("data:image/jpeg;base64,") >= 8
    sound = report_page(looked(tmp_path / "sound", document(20)), title="sound")
    assert "Nothing is wrong" in sound
    refused = report_page(inspect(tmp_path / "nowhere", task="object_detection"), title="nowhere")
    assert "dataset_missing" in refused


@pytest.mark.parametrize("task", ["instance_segmentation", "pose_estimation", "image_classification"])
def test_labels_of_every_task_are_drawn(tmp_path: Path, task: str) -> None:
    value = document(6)
    for image in value["images"]:
        path = tmp_path / "images" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, (128, 128, 128)).save(path)
    for category in value["categories"][1:]:
        category |= {"keypoints": ["a", "b"], "skeleton": [[1, 2]]}
    for annotation in value["annotations"]:
        if task == "image_classification":
            del annotation["bbox"]
            continue
        annotation |= {"segmentation": [[4, 4, 50, 4, 50, 40, 4, 40]], "keypoints": [10, 10, 2, 40, 30, 1]}
    if task != "image_classification":
        value["annotations"][0]["segmentation"] = {"size": [SIZE[1], SIZE[0]], "counts": [500, 1000, 1572]}
    found = looked(tmp_path, value, task=task)
    made = make_samples(found, tmp_path)
    grey = [np.asarray(sample.picture).std(axis=2).max() < 3 for sample in made.samples]
    assert grey == [False] * 5 + [True]  # the last image carries no label
    assert [sum(sample.labels.values()) for sample in made.samples] == [1, 1, 1, 1, 1, 0]


TURNS = [(kind, *turn) for kind in ("JPEG", "TIFF", "WEBP") for turn in ((6, (48, 64)), (8, (48, 64)), (3, (64, 48)))]
# Annotated as it is stored; of TIFF Pillow turns every one, whether it is meant so or not.
TURNS += [("JPEG", 6, (64, 48)), ("WEBP", 6, (64, 48))]


@pytest.mark.parametrize(("kind", "orientation", "declared"), TURNS)
def test_a_turned_image_is_opened_as_it_was_annotated(
    tmp_path: Path, kind: str, orientation: int, declared: tuple[int, int]
) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    pixels = np.zeros((48, 64, 3), dtype=np.uint8)
    pixels[:24, :32, 0] = 255  # red where the stored picture begins
    name = f"a.{kind.lower()}"
    Image.fromarray(pixels).save(tmp_path / name, format=kind, exif=tags.tobytes())
    value = document(4)
    value["images"][0] |= {"file_name": name, "width": declared[0], "height": declared[1]}
    (tmp_path / "images").mkdir()
    (tmp_path / name).rename(tmp_path / "images" / name)
    found = looked(tmp_path, value)
    opened = open_picture(found.files[0], declared, (96, 96))
    assert opened is not None
    image, scale = opened
    assert image.size == (round(declared[0] * scale), round(declared[1] * scale))
    places = {"left top": (4, 4), "right top": (-5, 4), "right bottom": (-5, -5), "left bottom": (4, -5)}
    red = [name for name, (x, y) in places.items() if np.asarray(image)[y, x, 0] > 128]
    turned = {6: "right top", 8: "left bottom", 3: "right bottom"}[orientation]
    place = "left top" if declared == (64, 48) and orientation == 6 else turned
    assert red == [place]


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_images_of_any_mode_are_shown(tmp_path: Path, mode: str) -> None:
    numbers_ = np.random.default_rng(1).integers(0, 255, (48, 64), dtype=np.uint8)
    image = Image.fromarray(numbers_)
    image = Image.fromarray(numbers_.astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
    suffix = "tiff" if mode in {"CMYK", "F", "I"} else "png"
    value = document(3)
    value["images"][0]["file_name"] = f"line/x.{suffix}"
    root = write(tmp_path, {**value, "images": value["images"][1:]}, name="x.json")
    image.save(root / f"images/line/x.{suffix}")
    (root / "annotations_detection.json").write_text(json.dumps(value))
    (root / "x.json").unlink()
    found = inspect(root, task="object_detection")
    opened = open_picture(found.files[0], SIZE, (32, 32))
    assert opened is not None
    assert (opened[0].mode, opened[0].size) == ("RGB", (32, 24))
    assert np.asarray(opened[0]).std() > 5


def test_colours_differ_and_are_written_on_readably() -> None:
    shades = [colour(index) for index in range(60)]
    assert len(set(shades)) == 60
    assert {ink(shade) for shade in shades} == {(20, 22, 26), (255, 255, 255)}


def test_the_numbers_count_by_part(tmp_path: Path) -> None:
    value = document(10)
    value["split_config"] = {"method": "manual", "splits": {str(n): "val" if n > 7 else "train" for n in range(1, 11)}}
    value["annotations"][0]["bbox"] = [0, 0, 64, 48]
    picture(tmp_path / "images/line/001.png")
    facts = numbers(looked(tmp_path, value))
    assert [(c["annotations"], c["parts"], c["part_images"]["train"]) for c in facts["classes"]] == [
        (4, {"train": 3, "val": 1, "test": 0}, 3),
        (5, {"train": 4, "val": 1, "test": 0}, 4),
    ]
    assert facts["box_sizes"]["histogram"][-1] == 1
    assert sum(facts["box_sizes"]["histogram"]) == 9
    assert sum(facts["box_sizes"]["pixels"].values()) == 9
