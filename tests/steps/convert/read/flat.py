"""Makes small documents without any image, and tells what reading them finds."""

import json
from pathlib import Path
from typing import Any

import pytest

from steps.convert.problems import DatasetRefused
from steps.convert.read.reading import Reading, read

CLASSES = [{"id": 3, "name": "bolt"}, {"id": 7, "name": "nut"}]


def image(id_: Any, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": id_, "file_name": name or f"{id_}.png", "width": 64, "height": 48, **more}


def label(id_: Any, image_id: Any, category: Any = 3, **more: Any) -> dict[str, Any]:
    return {"id": id_, "image_id": image_id, "category_id": category, "bbox": [1, 2, 3, 4], **more}


def flat(images: Any, annotations: Any, **more: Any) -> dict[str, Any]:
    return {"categories": CLASSES, "images": images, "annotations": annotations, **more}


def reading(root: Path, *, name: str = "annotations_detection.json", value: Any = None, **options: Any) -> Reading:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return read(root, **{"task": "object_detection", **options})


def codes(found: Reading) -> list[str]:
    return [problem.code for problem in found.problems]


def refused(root: Path, **options: Any) -> str:
    with pytest.raises(DatasetRefused) as caught:
        read(root, **options)
    return caught.value.problems[0].line()
