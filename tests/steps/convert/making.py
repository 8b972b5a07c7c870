"""Makes small DICE 1.0 datasets with real image files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (64, 48)


def picture(path: Path, *, size: tuple[int, int] = SIZE, seed: int = 0, **save: Any) -> Path:
    """Writes an image whose pixels depend on `seed`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **save)
    return path


def document(count: int = 10, *, classes: int = 2) -> dict[str, Any]:
    """Gives a sound D1 document: category ids with gaps, every image one box, the last image none."""
    return {
        "info": {"version": "1.0.0"},
        "categories": [
            {"id": 0, "name": "__background__"},
            *({"id": 3 * index + 1, "name": f"class{index}"} for index in range(classes)),
        ],
        "images": [
            {"id": n, "file_name": f"line/{n:03d}.png", "width": SIZE[0], "height": SIZE[1]}
            for n in range(1, count + 1)
        ],
        "annotations": [
            {
                "id": n,
                "image_id": n,
                "category_id": 3 * (n % classes) + 1,
                "bbox": [4.5, 5, 20, 10.25],
                "area": 205,
                "iscrowd": 0,
            }
            for n in range(1, count)
        ],
    }


def write(root: Path, value: dict[str, Any], *, name: str = "annotations_detection.json") -> Path:
    """Writes the document and an image for each of its entries that has a plain name."""
    root.mkdir(parents=True, exist_ok=True)
    for image in value["images"]:
        path = root / "images" / str(image["file_name"])
        if ".." not in path.parts and not path.exists():
            picture(path, size=(image["width"], image["height"]), seed=image["id"])
    (root / name).write_text(json.dumps(value), encoding="utf-8")
    return root
