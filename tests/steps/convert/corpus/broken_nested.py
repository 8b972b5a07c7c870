"""Nested documents (D2, D3, D4) and the mistakes that only they can make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.steps.convert.corpus.case import Case, at, both, document, nested

SEGMENT, POSE, CLASSIFY = "instance_segmentation", "pose_estimation", "image_classification"


def _case(layout: str, name: str, breaks: object, code: str | None, *says: str, **more: object) -> Case:
    return Case(name=name, breaks=breaks, code=code, says=says, layout=layout, **more)  # type: ignore[arg-type]


def _for_all(image: Any = None, label: Any = None) -> Any:
    def change(value: Any) -> None:
        for one in value["images"]:
            if image:
                image(one)
            for annotation in one.get("annotations") or () if label else ():
                label(annotation)

    return document(change)


def _flat_beside(change: Any) -> Any:
    """Carries the nested annotations in a flat list too, which `change` makes disagree."""

    def both_forms(value: Any) -> None:
        value["categories"] = value["classes"]
        value["annotations"] = [
            {**{k: v for k, v in label.items() if k != "class_id"}, "image_id": image["id"],
             "category_id": label["class_id"]}
            for image in value["images"] for label in image.get("annotations", ())
        ]  # fmt: skip
        change(value)

    return document(both_forms)


EVERY = [
    case
    for layout in ("D2", "D3", "D4")
    for case in (
        _case(layout, "box outside", nested(0, 0, bbox=[60, 5, 20, 10]), "box_outside", "image 1", "annotation 100"),
        _case(layout, "box malformed", nested(0, 0, bbox="big"), "box_malformed", "annotation 100"),
        _case(layout, "class unknown", nested(0, 0, class_id=99), "category_unknown", "annotation 100"),
        _case(layout, "class missing", document(lambda v: [v["images"][0]["annotations"][0].pop(key, None)
              for key in ("class_id", "class_name")]), "category_unknown", "annotation 100"),
        _case(layout, "annotation id twice", nested(1, 0, id=100), "annotation_duplicate", "annotation 100"),
        _case(layout, "annotation of another image", nested(0, 0, image_id=2), "image_contradiction",
              "annotation 100"),
        _case(layout, "image id twice", at("images", 1, id=1), "image_duplicate", "image 1"),
        _case(layout, "image missing", lambda root: next(root.rglob("t001.png")).unlink(), "image_missing", "image 2"),
        _case(layout, "path climbs", at("images", 1, file_name="../t001.png"), "path_unsafe", "image 2"),
        _case(layout, "annotations a word", at("images", 0, annotations="none"), "annotation_id",
              along=frozenset({"field_malformed", "annotations_malformed", "image_malformed"})),
        _case(layout, "annotation a word", document(lambda v: v["images"][0]["annotations"].insert(0, "x")),
              "annotation_id"),
        _case(layout, "image a word", document(lambda v: v["images"].insert(0, "x")), "image_id"),
        _case(layout, "classes empty", document(lambda v: v.update(classes=[])), "no_classes",
              along=frozenset({"category_unknown", "nothing_labeled"})),
        _case(layout, "class id twice", document(lambda v: v["classes"][1].update(id=v["classes"][0]["id"])),
              "category_duplicate", along=frozenset({"category_unknown"})),
        _case(layout, "images empty", document(lambda v: v.update(images=[])), "dataset_empty"),
        _case(layout, "both forms that agree are read", _flat_beside(lambda v: None), None),
        _case(layout, "both forms, a box moved", _flat_beside(lambda v: v["annotations"][0].update(
              bbox=[1, 1, 2, 2])), "forms_disagree", "image 1"),
        _case(layout, "both forms, one list shorter", _flat_beside(lambda v: v["annotations"].pop()),
              "forms_disagree", "image 8"),
        _case(layout, "first image without the key is read", document(lambda v: v["images"][0].pop("annotations")),
              None),
        _case(layout, "polygon of two points", nested(0, 0, segmentation=[[1, 5, 20, 20]]), "polygon_short",
              "annotation 100", task=SEGMENT),
        _case(layout, "keypoints of words", nested(0, 0, keypoints=["a"] * 9), "keypoints_malformed",
              "annotation 100", task=POSE),
    )
]  # fmt: skip

OWN = [
    _case("D3", "split into nowhere", at("images", 0, split="dev0"), "split_invalid", "dev0"),
    _case("D3", "box format unknown", nested(0, 0, bbox_format="polar"), "bbox_format", "annotation 100"),
    _case("D3", "box as corners is read", nested(0, 0, bbox=[2, 4, 20, 14], bbox_format="xyxy"), None),
    _case("D3", "keypoint triple of two numbers", nested(0, 0, keypoints=[[1, 2], [3, 4, 2], [5, 6, 2]]),
          "keypoints_malformed", "annotation 100", task=POSE),
    _case("D3", "class name of another class", nested(0, 0, class_name="nut"), "class_name_differs"),
    _case("D3", "two labels on one image", at("images", 0, annotation={"class_id": 0}, annotations=[
          {"id": 1, "class_id": 0}, {"id": 2, "class_id": 1}]), "forms_disagree", task=CLASSIFY),
    _case("D3", "nothing is labeled yet", _for_all(lambda image: image.update(metadata={"status": "unlabeled"})),
          "nothing_labeled", along=frozenset({"split_no_train", "split_no_val"})),
    _case("D3", "all is train", _for_all(lambda image: image.update(split="train")), "split_val_from_train",
          level="warning"),
    _case("D3", "masks that are not there", _for_all(lambda image: (image.pop("annotations", None), image.update(
          annotation={"mask_file": f"masks/{image['id']}.png", "mask_format": "indexed_png", "num_classes": 2}))),
          "mask_missing", task="semantic_segmentation", along=frozenset({"image_missing", "file_missing"})),
    _case("D3", "a task the platform has not", document(lambda v: v.update(task_type="super_resolution")), None),
    _case("D4", "split and folder differ", at("images", 0, split="val"), "part_conflict"),
    _case("D4", "classification with two labels", document(lambda v: v["images"][0]["annotations"].append(
          {"id": 77, "class_id": 1})), "label_conflict", "image 1", task=CLASSIFY),
    _case("D2", "only the background", both(document(lambda v: v.update(classes=[{"id": 0,
          "name": "__background__"}])), _for_all(label=lambda a: a.update(class_id=0))), "no_classes",
          along=frozenset({"nothing_labeled"})),
]  # fmt: skip


def _legacy(root: Path) -> None:
    (root / "annotations_detection.json").unlink()
    (root / "labels").mkdir()
    (root / "labels/a.json").write_text('{"version": "0.9", "shapes": []}')
    (root / "label_map.json").write_text('{"task_type": "det"}')


CASES = [*EVERY, *OWN, Case(name="D0, the legacy format", breaks=_legacy, code="layout_unsupported", says=("D0",))]
