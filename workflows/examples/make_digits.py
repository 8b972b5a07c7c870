"""Makes a DICE 1.0 detection dataset of real handwritten digits (scikit-learn's) pasted into scenes."""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

BACKGROUND = {"id": 0, "name": "__background__"}
CATEGORY_IDS = (1, 2, 4, 7, 8, 11, 13, 16, 17, 20)  # with gaps, as ids are in real datasets
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NEGATIVES = 0.05  # share of scenes without a digit
SIDES = (28 / 160, 56 / 160)  # a digit's side, in parts of the scene's
DIGITS = (2, 5)  # in one scene, both ends included


def make(out: str | Path, *, scenes: tuple[int, int] = (320, 80), size: int = 160, seed: int = 0) -> Path:
    """Writes images/ and annotations_detection.json below `out`; train and val scenes show different digits."""
    out = Path(out)
    (out / "images").mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    digits = load_digits()
    order = random.permutation(len(digits.target))
    border = len(order) * 4 // 5
    images, annotations, splits = [], [], {}
    for part, count, pool in (("train", scenes[0], order[:border]), ("val", scenes[1], order[border:])):
        deck = _Deck(pool, digits.target, random)
        for number in range(count):
            image_id, name = len(images) + 1, f"{part}_{number:04d}.png"
            negative = number % round(1 / NEGATIVES) == round(1 / NEGATIVES) - 1
            picture, found = _scene(digits.images, deck, size, random, empty=negative)
            Image.fromarray(picture).save(out / "images" / name)
            images.append({"id": image_id, "file_name": name, "width": size, "height": size})
            splits[str(image_id)] = part
            for digit, box in found:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": CATEGORY_IDS[digits.target[digit]],
                        "bbox": box,
                        "area": box[2] * box[3],
                        "iscrowd": 0,
                    }
                )
    categories = [BACKGROUND, *({"id": i, "name": n} for i, n in zip(CATEGORY_IDS, NAMES, strict=True))]
    document = {
        "info": {"version": "1.0.0", "description": "handwritten digits in scenes"},
        "categories": categories,
        "images": images,
        "annotations": annotations,
        "split_config": {"method": "manual", "splits": splits},
    }
    (out / "annotations_detection.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return out


class _Deck:
    """Deals digits such that every class comes up equally often."""

    def __init__(self, pool: np.ndarray, targets: np.ndarray, random: np.random.Generator) -> None:
        self.by_class = [pool[targets[pool] == digit] for digit in range(10)]
        self.random = random
        self.hand: list[int] = []

    def deal(self) -> int:
        if not self.hand:
            self.hand = self.random.permutation(10).tolist()
        return int(self.random.choice(self.by_class[self.hand.pop()]))


def _scene(
    glyphs: np.ndarray, deck: _Deck, size: int, random: np.random.Generator, *, empty: bool
) -> tuple[np.ndarray, list[tuple[int, list[int]]]]:
    """Gives a grey picture and what stands in it as (digit, [x, y, width, height] in pixels)."""
    paper = random.normal(random.uniform(205, 235), 6, (size, size))
    found: list[tuple[int, list[int]]] = []
    for _ in range(0 if empty else int(random.integers(DIGITS[0], DIGITS[1] + 1))):
        digit = deck.deal()
        side = int(random.integers(round(SIDES[0] * size), round(SIDES[1] * size) + 1))
        ink = _ink(glyphs[digit], side)
        height, width = ink.shape
        place = _place(found, width, height, size, random)
        if place is None:
            continue
        x, y = place
        darkness = random.uniform(150, 200)
        paper[y : y + height, x : x + width] -= ink * darkness
        found.append((digit, [x, y, width, height]))
    return np.clip(paper, 0, 255).astype(np.uint8), found


def _ink(glyph: np.ndarray, side: int) -> np.ndarray:
    """Enlarges an 8×8 digit to `side` pixels and crops it to its ink, in 0..1."""
    picture = Image.fromarray(glyph.astype(np.float32) / 16.0).resize((side, side), Image.Resampling.BICUBIC)
    ink = np.clip(np.asarray(picture), 0, 1)
    rows, columns = np.flatnonzero((ink > 0.2).any(axis=1)), np.flatnonzero((ink > 0.2).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _place(
    found: list[tuple[int, list[int]]], width: int, height: int, size: int, random: np.random.Generator
) -> tuple[int, int] | None:
    """Finds a free corner for a digit, None when the scene is too full."""
    gap = 2
    for _ in range(50):
        x, y = int(random.integers(0, size - width + 1)), int(random.integers(0, size - height + 1))
        if all(
            x + width + gap <= bx or bx + bw + gap <= x or y + height + gap <= by or by + bh + gap <= y
            for _, (bx, by, bw, bh) in found
        ):
            return x, y
    return None


def main() -> None:
    """Makes the dataset from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--scenes", type=int, nargs=2, default=(320, 80), metavar=("TRAIN", "VAL"))
    parser.add_argument("--size", type=int, default=160, help="side of a scene in pixels")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    out = make(options.out, scenes=tuple(options.scenes), size=options.size, seed=options.seed)
    print(f"{out}: {options.scenes[0]} train and {options.scenes[1]} val scenes")


if __name__ == "__main__":
    main()
