"""Random DICE 1.0 documents that are sound: what Hypothesis draws, and what no dataset that people have would show."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from steps.convert.write.runs import run_lengths

WORDS = {
    "object_detection": "detection",
    "instance_segmentation": "segmentation",
    "pose_estimation": "pose",
    "image_classification": "classification",
}
NAMES = ["bolt", "nut", "a b", "양품", "x/y", 'quo"te', "Ω", "class 10", "null", "0", "emoji 🙂", "con", ".hidden", "é"]
POINTS = ["nose", "left_eye", "right_eye", "l-hand", "r-hand"]
FOLDERS = ["", "line/", "a/b/", "선/"]


@st.composite
def documents(draw: Any, task: str) -> dict[str, Any]:
    """Draws a document; `parts` beside it maps every image id to its part of the split."""
    ids = draw(st.lists(st.integers(0, 50), min_size=1, max_size=4, unique=True))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=len(ids), max_size=len(ids), unique=True))
    categories: list[dict[str, Any]] = [{"id": id_, "name": name} for id_, name in zip(ids, names, strict=True)]
    background = draw(st.none() | st.sampled_from(["__background__", "_background_"]))
    if background:
        free = next(n for n in range(60) if n not in ids)
        categories.insert(draw(st.integers(0, len(categories))), {"id": free, "name": background})
    if task == "pose_estimation":
        for category in categories:
            category["keypoints"] = POINTS[: draw(st.integers(1, len(POINTS)))]
            category["skeleton"] = [[1, len(category["keypoints"])]]
    if draw(st.booleans()):
        categories[0]["supercategory"] = "thing"
    images, annotations = [], []
    count = draw(st.integers(2, 5))
    for place, id_ in enumerate(draw(st.lists(st.integers(1, 10**9), min_size=count, max_size=count, unique=True))):
        name = f"{draw(st.sampled_from(FOLDERS))}{draw(st.sampled_from(['a', 'b', 'ü']))}.{place}.png"
        image = {"id": id_, "file_name": name, "width": draw(st.integers(10, 40)), "height": draw(st.integers(10, 40))}
        if place > 1 and draw(st.integers(0, 5)) == 0:
            image["metadata"] = {"status": "unlabeled"}
        images.append(image)
        labeled = "metadata" not in image
        many = draw(st.integers(1 if place < 2 else 0, 4))
        one_class = draw(st.sampled_from(ids))
        for number in range(many if labeled else 0):
            first = number == 0 and place < 2  # each part shows something
            if background and not first and draw(st.integers(0, 5)) == 0:
                annotations.append({"image_id": id_, "category_id": free})
                continue
            class_id = one_class if task == "image_classification" else draw(st.sampled_from(ids))
            one = {"image_id": id_, "category_id": class_id, **draw(_shape(task, image, crowd=not first))}
            if task == "pose_estimation" and one.get("iscrowd") != 1:
                width = len(next(c["keypoints"] for c in categories if c["id"] == class_id))
                one.update(draw(_keypoints(width, image, some=first)))
            annotations.append(one)
    numbers = draw(st.lists(st.integers(0, 10**6), min_size=len(annotations), max_size=len(annotations), unique=True))
    for number, annotation in zip(numbers, annotations, strict=True):
        annotation["id"] = number
    order = draw(st.permutations(range(len(annotations))))
    value = {"info": {"version": "1.0.0"}, "categories": categories, "images": images}
    parts = ["train", "val", *(draw(st.sampled_from(["train", "val", "test"])) for _ in images[2:])]
    return {
        "document": {**value, "annotations": [annotations[at] for at in order]},
        "parts": {str(image["id"]): part for image, part in zip(images, parts, strict=True)},
    }


@st.composite
def _shape(draw: Any, task: str, image: dict[str, Any], *, crowd: bool) -> dict[str, Any]:
    if task == "image_classification":
        return {}
    width, height = image["width"], image["height"]
    box = draw(_box(width, height))
    one: dict[str, Any] = {"bbox": box}
    if draw(st.booleans()):
        one["area"] = draw(st.floats(0.5, 2000))
    one["iscrowd"] = int(crowd and draw(st.integers(0, 5)) == 0)
    if task == "instance_segmentation":
        if one["iscrowd"] or draw(st.integers(0, 3)) == 0:
            one["segmentation"] = draw(_mask(width, height))
        else:
            one["segmentation"] = draw(st.lists(_polygon(box), min_size=1, max_size=3))
    return one


@st.composite
def _box(draw: Any, width: int, height: int) -> list[float]:
    x, y = draw(st.floats(0, width - 4)), draw(st.floats(0, height - 4))
    return [x, y, draw(st.floats(1, width - x)), draw(st.floats(1, height - y))]


@st.composite
def _polygon(draw: Any, box: list[float]) -> list[float]:
    """A star around a point of the box: never flat, often overlapping its brothers."""
    x, y, width, height = box
    count = draw(st.integers(3, 9))
    cx, cy = draw(st.floats(0.3, 0.7)), draw(st.floats(0.3, 0.7))
    flat = []
    for at in range(count):
        angle, radius = 2 * np.pi * at / count, draw(st.floats(0.1, 0.3))
        flat += [x + width * (cx + radius * np.cos(angle)), y + height * (cy + radius * np.sin(angle))]
    return [float(number) for number in flat]


@st.composite
def _mask(draw: Any, width: int, height: int) -> dict[str, Any]:
    seed, share = draw(st.integers(0, 1000)), draw(st.sampled_from([0.02, 0.5, 0.9]))
    mask = np.random.default_rng(seed).random((height, width)) < share
    mask[height // 2, width // 2] = True
    return {"size": [height, width], "counts": run_lengths(mask).tolist()}


@st.composite
def _keypoints(draw: Any, count: int, image: dict[str, Any], *, some: bool) -> dict[str, Any]:
    if not some and draw(st.integers(0, 4)) == 0:
        return {}
    flat: list[float] = []
    for at in range(count):
        v = draw(st.integers(0, 2)) if at or not some else 2
        place = [0.0, 0.0] if v == 0 else [draw(st.floats(0, image["width"])), draw(st.floats(0, image["height"]))]
        flat += [*place, v]
    return {"keypoints": flat, "num_keypoints": sum(v > 0 for v in flat[2::3])}
