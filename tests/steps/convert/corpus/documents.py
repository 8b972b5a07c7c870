"""Writes the sample as JSON documents: DICE in its flat and nested layouts, and COCO."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.steps.convert.corpus.sample import POINTS, Label, Picture, Sample, paint

WORDS = {
    "object_detection": "detection",
    "instance_segmentation": "segmentation",
    "pose_estimation": "pose",
    "image_classification": "classification",
}
BACKGROUND = 100  # the background's id in D1: it is known by its name alone


def write_d1(root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """D1: flat, one file per task, background by name, storage_info and a split of its own."""
    value = flat(sample, task)
    value["info"] = {"version": "1.0.0"}
    value["storage_info"] = {"storage_type": "s3", "image_root": "datasets/ds_demo/images/"}
    value["categories"].insert(0, {"id": BACKGROUND, "name": "__background__"})
    for number, picture in enumerate(sample.pictures, 1):
        if not picture.labels:
            value["annotations"].append({"id": 9000 + number, "image_id": number, "category_id": BACKGROUND})
    splits = {str(number): picture.part for number, picture in enumerate(sample.pictures, 1)}
    value["split_config"] = {"method": "manual", "splits": splits}
    return _write(root, sample, {f"annotations_{WORDS[task]}.json": value})


def write_d2(root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """D2: `classes`, annotations inside the images with `class_id` and no `image_id`."""
    images = [
        {**_image(n, p, p.name), "annotations": [_nested(sample, label, task, k) for k, label in _labels(n, p)]}
        for n, p in enumerate(sample.pictures, 1)
    ]
    value = {"classes": _categories(sample, task, sample.ids), "images": images}
    return _write(root, sample, {f"annotations_{WORDS[task]}.json": value})


def write_d3(root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """D3: one annotations.json with a rich header; keypoints as triples; one more picture that is not labeled."""
    images = []
    for n, p in enumerate(sample.pictures, 1):
        image = {**_image(n, p, p.name), "depth": 3, "split": p.part, "metadata": {"status": "labeled"}}
        found = [_rich(sample, label, task, k) for k, label in _labels(n, p)]
        if task == "image_classification":
            images.append({**image, "annotation": found[0] if found else None})
        else:
            images.append({**image, "annotations": found})
    unlabeled = Picture("z-unlabeled.png", (64, 32), "train", ())
    more = {**_image(len(images) + 1, unlabeled, unlabeled.name), "depth": 3, "split": None, "annotation": None}
    images.append({**more, "metadata": {"status": "unlabeled"}})
    paint(root / "images" / unlabeled.name, unlabeled)
    value = {
        "format_version": "1.0",
        "dataset_id": "kim-parts-0a1b2c3d",
        "dataset_name": "parts",
        "task_type": task,
        "created_at": "2025-11-04T00:00:00Z",
        "last_modified_at": "2025-11-04T00:00:00Z",
        "version": 3,
        "content_hash": "sha256:0",
        "classes": [{**c, "color": "#ff0000"} for c in _categories(sample, task, range(len(sample.classes)))],
        "splits": {part: len(sample.of(part)) for part in ("train", "val", "test")},
        "images": images,
        "statistics": {"total_images": len(images)},
    }
    return _write(root, sample, {"annotations.json": value})


def write_d4(root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """D4: nested per task beside metadata.json, images in a folder for each part."""
    images = []
    for n, p in enumerate(sample.pictures, 1):
        found = [{**_rich(sample, label, task, k), "image_id": n, "attributes": {}} for k, label in _labels(n, p)]
        images.append({**_image(n, p, f"{p.part}/{p.name}"), "depth": 3, "split": p.part, "annotations": found})
    classes = _categories(sample, task, range(len(sample.classes)))
    task_type = "classification" if task == "image_classification" else task
    value = {"format_version": "1.0", "task_type": task_type, "classes": classes, "images": images}
    for picture in sample.pictures:
        paint(root / "images" / picture.part / picture.name, picture)
    return _write(root, None, {f"annotations_{WORDS[task]}.json": value, "metadata.json": {"name": "parts"}})


def write_coco(root: Path, sample: Sample, task: str = "object_detection") -> Path:
    """Plain COCO as CVAT exports it: annotations/instances_default.json, image ids as they come."""
    stem = "person_keypoints" if task == "pose_estimation" else "instances"
    return _write(root, sample, {f"annotations/{stem}_default.json": flat(sample, task)})


def flat(sample: Sample, task: str) -> dict[str, Any]:
    """Gives categories, images and annotations side by side."""
    annotations = [
        {**_nested(sample, label, task, k), "image_id": n}
        for n, p in enumerate(sample.pictures, 1)
        for k, label in _labels(n, p)
    ]
    for annotation in annotations:
        annotation["category_id"] = annotation.pop("class_id")
    images = [_image(n, p, p.name) for n, p in enumerate(sample.pictures, 1)]
    return {"categories": _categories(sample, task, sample.ids), "images": images, "annotations": annotations}


def _labels(number: int, picture: Picture) -> list[tuple[int, Label]]:
    return [(number * 100 + k, label) for k, label in enumerate(picture.labels)]


def _categories(sample: Sample, task: str, ids: Any) -> list[dict[str, Any]]:
    more = {"keypoints": list(POINTS), "skeleton": [[1, 2], [1, 3]]} if task == "pose_estimation" else {}
    return [{"id": id_, "name": name, **more} for id_, name in zip(ids, sample.classes, strict=True)]


def _image(number: int, picture: Picture, name: str) -> dict[str, Any]:
    return {"id": number, "file_name": name, "width": picture.size[0], "height": picture.size[1]}


def _nested(sample: Sample, label: Label, task: str, id_: int) -> dict[str, Any]:
    found: dict[str, Any] = {"id": id_, "class_id": sample.ids[label.kind]}
    if task != "image_classification":
        found |= {"bbox": list(label.box), "area": label.box[2] * label.box[3], "iscrowd": 0}
    if task == "instance_segmentation":
        found["segmentation"] = [label.outline]
    if task == "pose_estimation":
        found |= {"keypoints": [n for point in label.points for n in point], "num_keypoints": 2}
    return found


def _rich(sample: Sample, label: Label, task: str, id_: int) -> dict[str, Any]:
    if task == "image_classification":
        return {"class_id": label.kind, "class_name": sample.classes[label.kind], "confidence": 1.0}
    found = {**_nested(sample, label, task, id_), "class_id": label.kind, "class_name": sample.classes[label.kind]}
    found["bbox_format"] = "xywh"
    if task == "instance_segmentation":
        found["segmentation"] = label.outline
    if task == "pose_estimation":
        found["keypoints"] = [list(point) for point in label.points]
    return found


def _write(root: Path, sample: Sample | None, documents: dict[str, Any]) -> Path:
    for picture in sample.pictures if sample else ():
        paint(root / "images" / picture.name, picture)
    for name, value in documents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return root
