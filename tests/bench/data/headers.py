"""Prints how fast a dataset of 100,000 image files is checked: headers alone, and the whole check with digests.

Run it as `python -m tests.bench.data.headers [--quick]`. The files are hard links to 3,000 different JPEG and PNG
images of 64 to 1,024 pixels, so their bytes come from memory; the opening, reading and parsing is real.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bench.data.measuring import Ran, measure, scratch, steps_python, table, verdict

GOAL = 3_000.0  # images a second
DIFFERENT = 3_000
OURS = """
import json, sys
from pathlib import Path
from steps.convert.check.files import read_images
names = [image["file_name"] for image in json.loads(Path(sys.argv[1], "annotations_detection.json").read_bytes())["images"]]
files = read_images(Path(sys.argv[1]), names, image_root=None, contained=True)
assert all(file.problem is None and file.width for file in files)
"""  # noqa: E501
PILLOW = """
import json, os, sys
from concurrent.futures import ThreadPoolExecutor
from PIL import Image
root = sys.argv[1]
names = [image["file_name"] for image in json.load(open(root + "/annotations_detection.json"))["images"]]
def read(name):
    with Image.open(os.path.join(root, "images", name)) as image:
        return image.width, image.height, image.format, image.getexif().get(0x0112, 1)
with ThreadPoolExecutor(16) as pool:
    assert all(list(pool.map(read, names, chunksize=64)))
"""


def make_dataset(root: Path, count: int) -> float:
    """Makes the dataset; gives the mean size of a file in KB."""
    rng = np.random.default_rng(3)
    (root / "images").mkdir(parents=True)
    made: list[tuple[Path, int, int]] = []
    for number in range(min(DIFFERENT, count)):
        width, height = (int(side) for side in np.exp(rng.uniform(np.log(64), np.log(1024), 2)))
        blobs = rng.integers(0, 255, (2 + height // 24, 2 + width // 24, 3), dtype=np.uint8)
        image = Image.fromarray(blobs).resize((width, height), Image.Resampling.BILINEAR)
        path = root / f"source-{number}{'.png' if number % 5 == 0 else '.jpg'}"
        image.save(path)
        made.append((path, width, height))
    images = []
    for number in range(count):
        path, width, height = made[number % len(made)]
        name = f"{number % 100:02d}/{number:06d}{path.suffix}"
        if number < 100:
            (root / "images" / name).parent.mkdir()
        os.link(path, root / "images" / name)
        images.append({"id": number + 1, "file_name": name, "width": width, "height": height})
    boxes = [{"id": i["id"], "image_id": i["id"], "category_id": 1 + i["id"] % 3, "bbox": [1, 2, 30, 40]} for i in images]  # fmt: skip  # noqa: E501
    categories = [{"id": id_, "name": f"class {id_}"} for id_ in (1, 2, 3)]
    value = {"categories": categories, "images": images, "annotations": boxes, "info": {"version": "1.0.0"}}
    (root / "annotations_detection.json").write_text(json.dumps(value))
    return sum(path.stat().st_size for path, _, _ in made) / len(made) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 images instead of 100,000")
    count = 10_000 if parser.parse_args().quick else 100_000
    with scratch() as folder:
        root = folder / "dataset"
        each = make_dataset(root, count)
        python = steps_python()
        rows: list[list[object]] = []
        best: dict[str, Ran] = {}
        for _ in range(2):
            for who, command in (
                ("headers, ours", [python, "-c", OURS, root]),
                ("headers, Pillow in 16 threads", [python, "-c", PILLOW, root]),
                ("check: headers, digests, rules", [python, "-m", "steps.convert", "check", root, "--task", "det"]),
            ):
                ran = measure(command)
                rows.append([who, ran.wall, count / ran.wall, ran.cpu, count / ran.cpu, ran.memory])
                if who not in best or ran.wall < best[who].wall:
                    best[who] = ran
        head = ["", "wall s", "images/s", "CPU s", "images/CPU-s", "peak MB"]
        table(f"Headers of {count:,} images, {each:.0f} KB each (hard links to {DIFFERENT:,} files)", head, rows)
        for who in ("headers, ours", "check: headers, digests, rules"):
            rate = count / best[who].wall
            print(f"{who}: goal ≥ {GOAL:,.0f} images/s: {rate:,.0f}, {verdict(rate, GOAL, least=True)}")


if __name__ == "__main__":
    main()
