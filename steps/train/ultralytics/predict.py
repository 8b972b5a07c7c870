"""A picture of what the best checkpoint finds on a few validation images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from ultralytics import YOLO

from steps.train.ultralytics import offline
from steps.train.ultralytics.checkpoints import publish

COUNT, CELL, GAP = 9, 400, 8  # images; pixels of a cell's side and of the space between two
CONFIDENCE = 0.25
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#f032e6", "#9a6324", "#808000", "#000075")


def draw(
    checkpoint: Path, images: Sequence[Path], target: Path, *, image_size: int, device: str, names: Sequence[str]
) -> int:
    """Draw the checkpoint's predictions on up to nine images, evenly chosen, into `target`; return the boxes drawn."""
    step = max(1, len(images) // COUNT)
    chosen = list(images[::step][:COUNT])
    results = YOLO(checkpoint).predict(
        [str(path) for path in chosen],
        imgsz=image_size,
        device=device,
        conf=CONFIDENCE,
        verbose=False,
        save=False,
    )
    torch.set_num_threads(offline.threads())
    columns = math.ceil(math.sqrt(len(chosen)))
    rows = math.ceil(len(chosen) / columns)
    sheet = Image.new("RGB", (columns * (CELL + GAP) + GAP, rows * (CELL + GAP) + GAP), "#202020")
    drawn = 0
    for index, (path, result) in enumerate(zip(chosen, results, strict=True)):
        cell, boxes = _cell(path, result, names)
        x, y = index % columns, index // columns
        sheet.paste(cell, (GAP + x * (CELL + GAP) + (CELL - cell.width) // 2, GAP + y * (CELL + GAP)))
        drawn += boxes
    target.parent.mkdir(parents=True, exist_ok=True)
    publish(target, lambda part: sheet.save(part, format="JPEG", quality=90))
    return drawn


def _cell(path: Path, result: Any, names: Sequence[str]) -> tuple[Image.Image, int]:
    """Return one image, enlarged to the cell first so that text stays readable, with its boxes."""
    with Image.open(path) as source:
        image = source.convert("RGB")
    scale = CELL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(image)
    font = _font(15)
    boxes = result.boxes
    found = list(zip(boxes.xyxy.tolist(), boxes.cls.tolist(), boxes.conf.tolist(), strict=True))
    for box, index, confidence in reversed(found):  # the surest ends on top
        colour = COLOURS[int(index) % len(COLOURS)]
        left, top, right, bottom = (value * scale for value in box)
        pen.rectangle((left, top, right, bottom), outline=colour, width=2)
        text = f"{names[int(index)]} {confidence:.2f}"
        _, _, width, height = pen.textbbox((0, 0), text, font=font)
        # Above the box where there is room, else inside its upper edge; never outside the picture.
        x = min(max(left, 0), max(image.width - width - 4, 0))
        y = top - height - 4 if top >= height + 4 else top
        pen.rectangle((x, y, x + width + 4, y + height + 4), fill=colour)
        pen.text((x + 2, y + 1), text, fill="white", font=font)
    return image, len(boxes)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    path = offline.font_file()
    return ImageFont.truetype(str(path), size) if path else ImageFont.load_default(size)
