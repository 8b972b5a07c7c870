"""The door: every layout is recognised, read as it is meant, or refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steps.convert.read.reading import read
from tests.steps.convert.corpus import layouts
from tests.steps.convert.corpus.sample import sample
from tests.steps.convert.read.flat import CLASSES, codes, flat, image, label, reading


@pytest.mark.parametrize(
    ("task", "layout"),
    [(task, layout) for task, known in layouts.HOLDS.items() for layout in known if layout != "ImageFolder"],
)
def test_a_task_is_guessed_and_every_layout_says_the_same(tmp_path: Path, task: str, layout: str) -> None:
    shown = sample()
    found = read(layouts.write(layout, tmp_path, shown, task), everything=True).dataset
    assert (found.layout, found.task) == (layout, task)
    assert [c.name for c in found.classes] == list(shown.classes)
    by_name = {}
    for row, name in enumerate(found.image_names):
        here = found.trained & (found.annotation_image == row)
        order = np.lexsort(np.round(found.boxes[here], 3).T)
        by_name[name.rpartition("/")[2]] = (found.annotation_class[here][order].tolist(), found.boxes[here][order])
    for picture in shown.pictures:
        labels = [] if (layout, task) == ("D3", "image_classification") and not picture.labels else picture.labels
        if (layout, task) == ("D3", "image_classification"):
            labels = labels[:1]
        kinds, boxes = by_name[picture.name]
        assert sorted(kinds) == sorted(one.kind for one in labels)
        if task != "image_classification" and labels:
            wanted = np.array(sorted(one.box for one in labels), dtype=float)
            assert np.array(sorted(boxes.tolist())) == pytest.approx(wanted, abs=0.01)


def test_ids_may_be_texts_of_numbers_or_whole_floats(tmp_path: Path) -> None:
    value = flat([image("1"), image(2.0)], [label("5", 1, "3"), label(6, "2", 7.0)])
    found = reading(tmp_path, value=value)
    assert codes(found) == []
    data = found.dataset
    assert (data.image_ids.tolist(), data.annotation_ids.tolist()) == ([1, 2], [5, 6])
    assert (data.annotation_image.tolist(), data.annotation_class.tolist(), data.image_keys) == ([0, 1], [0, 1], None)


def test_ids_that_are_names_are_numbered_by_name_and_not_by_place(tmp_path: Path) -> None:
    images, labels = (
        [image("b7", "b.png"), image("007", "c.png"), image("a", "a.png")],
        [label("x", "a"), label("y", "007")],
    )
    found = reading(tmp_path, value=flat(images, labels))
    assert codes(found) == ["annotation_texts"]
    data = found.dataset
    assert (data.image_keys, data.image_ids.tolist()) == (["b7", "007", "a"], [3, 1, 2])
    assert (data.annotation_image.tolist(), data.annotation_ids.tolist()) == ([2, 1], [1, 2])
    turned = reading(tmp_path, value=flat(images[::-1], labels)).dataset
    assert turned.image_ids.tolist() == [2, 1, 3]


def test_one_bad_annotation_costs_nothing_but_itself(tmp_path: Path) -> None:
    labels: list[Any] = [label(n, 1) for n in range(1, 40)]
    labels[20] = label(21, 1, bbox="wide", area=[], iscrowd="yes")
    labels[30] = 7
    found = reading(tmp_path, value=flat([image(1)], labels))
    assert [(p.code, p.annotation_id) for p in found.problems] == [("box_malformed", 21), ("annotation_id", None)]
    assert "annotation number 31" in found.problems[1].line()
    assert found.dataset.annotation_ids.tolist() == [n for n in range(1, 40) if n not in (21, 31)]


def test_crowds_areas_and_aliases_are_read(tmp_path: Path) -> None:
    labels = [
        label(1, 1, iscrowd=1, area=5.5),
        label(2, 1),
        {"id": 3, "image_id": 1, "class_id": 7, "class_name": "nut"},
    ]
    labels.append({"id": 4, "image_id": 1, "class_name": "nut", "bbox": [0, 0, 1, 1]})
    data = reading(tmp_path, value=flat([image(1)], labels)).dataset
    assert data.annotation_crowd.tolist() == [True, False, False, False]
    assert data.annotation_class.tolist() == [0, 0, 1, 1]
    assert data.areas is not None
    assert np.isnan(data.areas).tolist() == [False, True, True, True]
    assert np.isnan(data.boxes[2]).all()


def test_class_names_that_contradict_are_told(tmp_path: Path) -> None:
    labels = [label(1, 1, class_name="nut"), label(2, 1, class_name="old word"), label(3, 1, class_id=7)]
    labels.append({"id": 4, "image_id": 1, "class_name": "screw"})
    found = reading(tmp_path, value=flat([image(1)], labels))
    told = [(p.level, p.code, p.annotation_id) for p in found.problems]
    assert ("error", "class_name_differs", 1) in told
    assert ("warning", "class_name_differs", None) in told
    assert ("error", "category_contradiction", 3) in told
    assert ("error", "category_unknown", 4) in told


@pytest.mark.parametrize(
    ("form", "box"),
    [("xywh", [10, 20, 30, 40]), ("xyxy", [10, 20, 40, 60]), ("cxcywh", [25, 40, 30, 40]), ("LTRB", [10, 20, 40, 60])],
)
def test_the_format_of_a_box_is_heeded(tmp_path: Path, form: str, box: list[int]) -> None:
    found = reading(tmp_path, value=flat([image(1)], [label(1, 1, bbox=box, bbox_format=form), label(2, 1)]))
    assert codes(found) == []
    assert found.dataset.boxes[0].tolist() == [10, 20, 30, 40]


def test_an_unknown_format_of_a_box_is_refused_by_name(tmp_path: Path) -> None:
    found = reading(tmp_path, value=flat([image(1)], [label(1, 1, bbox_format="yolo")]))
    assert codes(found) == ["bbox_format"]
    assert "'yolo'" in found.problems[0].line()


def nested(images: Any, **more: Any) -> dict[str, Any]:
    return {"classes": CLASSES, "images": images, **more}


def inner(id_: Any, **more: Any) -> dict[str, Any]:
    return {"id": id_, "class_id": 3, "bbox": [1, 2, 3, 4], **more}


def test_nested_or_flat_is_decided_by_the_whole_document(tmp_path: Path) -> None:
    found = reading(tmp_path, value=nested([image(1), image(2, annotations=[inner(5)]), image(3, annotations=None)]))
    assert codes(found) == []
    assert found.dataset.layout == "D2"
    assert found.dataset.annotation_image.tolist() == [1]
    assert found.dataset.image_labeled.tolist() == [True, True, False]


def test_two_forms_are_read_where_they_agree_in_any_order(tmp_path: Path) -> None:
    polygon = {"segmentation": [[0, 0, 9, 0, 9, 9.125]]}
    images = [image(1, annotations=[inner(1, **polygon), inner(2, class_id=7)]), image(2, annotations=[])]
    labels = [label(2, 1, 7), label(1, 1, **polygon)]
    found = reading(tmp_path, value=flat(images, labels), everything=True)
    assert codes(found) == []
    labels[1]["segmentation"] = [[0, 0, 9, 0, 9, 9.5]]
    found = reading(tmp_path, value=flat(images, labels), everything=True)
    assert [(p.code, p.image_id) for p in found.problems] == [("forms_disagree", 1)]
    found = reading(tmp_path, value=flat(images, [label(2, 1, 7), label(1, 1), label(3, 2)]))
    assert [(p.code, p.image_id) for p in found.problems] == [("forms_disagree", 2)]


def test_annotation_ids_of_nested_layouts(tmp_path: Path) -> None:
    anew = nested([image(1, annotations=[inner(1), inner(2)]), image(2, annotations=[inner(1)])])
    found = reading(tmp_path, value=anew)
    assert (codes(found), found.dataset.annotation_ids.tolist()) == (["annotation_ids_renumbered"], [1, 2, 3])
    twice = nested([image(1, annotations=[inner(8), inner(9)]), image(2, annotations=[inner(8)])])
    assert codes(reading(tmp_path, value=twice)) == ["annotation_duplicate"]
    without = nested([image(1, annotations=[inner(8), {"class_id": 3}])])
    assert reading(tmp_path, value=without).dataset.annotation_ids.tolist() == [8, 9]
    strayed = nested([image(1, annotations=[inner(8, image_id=2)]), image(2)])
    assert codes(reading(tmp_path, value=strayed)) == ["image_contradiction"]


def test_shapes_of_every_spelling(tmp_path: Path) -> None:
    masks = [
        {"size": [48, 64], "counts": [10, 5, 48 * 64 - 15]},
        {"size": [9, 10], "counts": "61X13mN000`0"},
    ]
    labels = [
        label(1, 1, segmentation=[[0, 0, 9, 0, 9, 9], [20, 20, 30, 20, 30, 30, 20, 30]]),
        label(2, 1, segmentation=[0, 0, 9, 0, 9, 9.5]),
        label(3, 1, segmentation=masks[0]),
        label(4, 1, segmentation=masks[1], keypoints=[]),
        label(5, 1, segmentation=[[]], keypoints=[1, 2, 2, 3, 4, 0]),
        label(6, 1, keypoints=[[1, 2, 2], [3, 4, 0]]),
    ]
    data = reading(tmp_path, value=flat([image(1)], labels), everything=True).dataset
    assert data.outlines is not None
    assert data.outlines.first_ring.tolist() == [0, 2, 3, 3, 3, 3, 3]
    assert data.outlines.first_point.tolist() == [0, 3, 7, 10]
    assert data.outlines.points[-1].tolist() == [9, 9.5]
    assert {row: mask.counts.tolist()[:3] for row, mask in data.rles.items()} == {2: [10, 5, 3057], 3: [6, 1, 40]}
    assert data.keypoints is not None
    assert data.keypoints[4].tolist() == data.keypoints[5].tolist() == [[1, 2, 2], [3, 4, 0]]
    assert np.isnan(data.keypoints[:4]).all()


MALFORMED: list[tuple[dict[str, Any], str, str]] = [
    ({"segmentation": [[0, 0, 9, 0, 9]]}, "polygon_malformed", "odd"),
    ({"segmentation": [["a", 0, 9, 0, 9, 9]]}, "polygon_malformed", "polygon"),
    ({"segmentation": "drawn"}, "polygon_malformed", "drawn"),
    ({"segmentation": [[0, 0, 9, 0, 9, True]]}, "polygon_malformed", "polygon"),
    ({"segmentation": [[0, 0, 9, 0, 9, 9], 5]}, "polygon_malformed", "5"),
    ({"segmentation": {"counts": [1]}}, "mask_malformed", "size"),
    ({"segmentation": {"size": [4, 4], "counts": [-1, 17]}}, "mask_malformed", "run lengths"),
    ({"segmentation": {"size": [4, 4], "counts": "\x00"}}, "mask_malformed", "run lengths"),
    ({"segmentation": {"size": [4, 4, 4], "counts": [64]}}, "mask_malformed", "run lengths"),
    ({"keypoints": [1, 2]}, "keypoints_malformed", "2 numbers"),
    ({"keypoints": [[1, 2, 2], [1, 2]]}, "keypoints_malformed", "three numbers"),
    ({"keypoints": "nose"}, "keypoints_malformed", "nose"),
    ({"keypoints": [1, 2, 2] * 1001}, "keypoints_malformed", "too many"),
    ({"keypoints": [1, 2, 2]}, "keypoints_count", "has 2"),
]


@pytest.mark.parametrize(("broken", "code", "words"), MALFORMED)
def test_a_malformed_shape_is_told_and_left_out(tmp_path: Path, broken: dict[str, Any], code: str, words: str) -> None:
    good = {"segmentation": [[0, 0, 9, 0, 9, 9]], "keypoints": [1, 2, 2, 3, 4, 2]}
    labels = [label(1, 1, **good), label(2, 1, **{**good, **broken}), label(3, 1, **good)]
    task = "pose_estimation" if code.startswith("keypoint") else "instance_segmentation"
    found = reading(tmp_path, name="annotations.json", value=flat([image(1)], labels), task=task, everything=True)
    assert [(p.code, p.image_id, p.annotation_id, p.level) for p in found.problems] == [(code, 1, 2, "error")]
    assert words in found.problems[0].line()
    data = found.dataset
    assert data.annotation_ids.tolist() == [1, 3]
    assert data.outlines is not None
    assert data.outlines.first_ring.tolist() == [0, 1, 2]
    assert len(data.outlines.points) == 6


@pytest.mark.parametrize(("broken", "code", "words"), MALFORMED)
def test_where_nothing_is_trained_on_a_malformed_shape_only_that_is_left_out(
    tmp_path: Path, broken: dict[str, Any], code: str, words: str
) -> None:
    good = {"segmentation": [[0, 0, 9, 0, 9, 9]], "keypoints": [1, 2, 2, 3, 4, 2]}
    labels = [label(1, 1, **good), label(2, 1, **{**good, **broken}), label(3, 1, **good)]
    found = reading(tmp_path, value=flat([image(1)], labels), task="object_detection", everything=True)
    assert [(p.code, p.image_id, p.annotation_id, p.level) for p in found.problems] == [(code, 1, 2, "warning")]
    assert words in found.problems[0].line()
    assert found.dataset.annotation_ids.tolist() == [1, 2, 3]
    assert not reading(tmp_path, value=flat([image(1)], labels), task="object_detection").problems


def test_masks_of_d3_are_named(tmp_path: Path) -> None:
    one = {"mask_file": "masks/a.png", "mask_format": "indexed_png", "num_classes": 2}
    value = {
        "format_version": "1.0",
        "task_type": "semantic_segmentation",
        **nested([image(1, annotation=one), image(2)]),
    }
    found = reading(tmp_path, name="annotations.json", value=value, task=None)
    assert (found.dataset.layout, found.dataset.task) == ("D3", "semantic_segmentation")
    assert found.dataset.image_masks == ["masks/a.png", None]
    assert found.other_images == ["masks/a.png"]
    one["mask_format"] = "polygons"
    assert codes(reading(tmp_path, name="annotations.json", value=value, task=None)) == ["mask_format"]


def test_what_images_say_besides_is_read_when_asked_for(tmp_path: Path) -> None:
    images = [image(n, line=f"L{n}", annotations=[]) for n in range(1, 4)]
    images[1]["file_name"] = None
    data = reading(tmp_path, value=nested(images)).dataset
    assert data.image_ids.tolist() == [1, 3]
    assert [entry["line"] for entry in data.image_attributes] == ["L1", "L3"]
    assert "annotations" not in data.image_attributes[0]
